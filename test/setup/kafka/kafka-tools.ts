import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchKafkaJars } from '../../../simulators/kafka/jars.ts'
import { cacheDir } from './java.ts'

const run = promisify(execFile)

/** Kafka's command-line tools by their names in a download of Kafka. */
const classOf = {
  'kafka-acls.sh': 'org.apache.kafka.tools.AclCommand',
  'kafka-configs.sh': 'kafka.admin.ConfigCommand',
  'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand',
}

export type KafkaTools = AsyncDisposable & {
  /**
   * Runs a shell script with Kafka's tools in its PATH, in a directory with these files and with
   * `$kafka` set, as the commands of docs/security.md expect. Resolves with the output. Stops at
   * the first command that fails, and rejects with its output. About 2 s per command.
   */
  run(script: string, files?: Record<string, string>): Promise<string>
}

/** Kafka's tools, from the jars of the local Kafka, for brokers without authentication. */
export async function openKafkaTools(brokers: string[]): Promise<KafkaTools> {
  const jars = await fetchKafkaJars({ cacheDir })
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-tools-'))
  const flags =
    '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
  for (const [name, main] of Object.entries(classOf)) {
    const file = join(dir, name)
    await writeFile(file, `#!/bin/sh\nexec java ${flags} -cp '${jars}/*' ${main} "$@"\n`)
    await chmod(file, 0o755)
  }
  const env = {
    ...process.env,
    PATH: `${dir}:${process.env.PATH}`,
    kafka: `--bootstrap-server ${brokers.join()}`,
  }
  return {
    async run(script, files = {}) {
      const cwd = await mkdtemp(join(dir, 'run-'))
      for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
      return (await run('sh', ['-ec', script], { cwd, env })).stdout
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
