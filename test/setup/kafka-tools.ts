import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchKafkaJars } from '../../simulators/kafka/jars.ts'
import { cacheDir } from './java.ts'

const run = promisify(execFile)

/** Kafka's own tools, by the names that they have in a download of Kafka. */
const classOf = {
  'kafka-acls.sh': 'org.apache.kafka.tools.AclCommand',
  'kafka-configs.sh': 'kafka.admin.ConfigCommand',
  'kafka-topics.sh': 'org.apache.kafka.tools.TopicCommand',
}

export type KafkaTools = AsyncDisposable & {
  /**
   * Promise: what a shell that finds Kafka's tools prints for a script, which ends at its first
   * command that fails; then it rejects with what that said. About 2 s a command.
   */
  run(script: string, env?: Record<string, string>): Promise<string>
}

/** Promise: Kafka's tools, made of the jars of the local Kafka. */
export async function openKafkaTools(): Promise<KafkaTools> {
  const jars = await fetchKafkaJars({ cacheDir })
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-tools-'))
  const flags =
    '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
  for (const [name, main] of Object.entries(classOf)) {
    const file = join(dir, name)
    await writeFile(file, `#!/bin/sh\nexec java ${flags} -cp '${jars}/*' ${main} "$@"\n`)
    await chmod(file, 0o755)
  }
  return {
    async run(script, env = {}) {
      const path = `${dir}:${process.env.PATH}`
      const { stdout } = await run('sh', ['-ec', script], {
        env: { ...process.env, ...env, PATH: path },
      })
      return stdout
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
