import { execFile } from 'node:child_process'
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import {
  fetchArtifacts,
  type JarsOptions,
  type JavaArtifacts,
} from '../../../simulators/kafka/jars.ts'
import { endProcess, spawnGuarded } from '../../../simulators/processes/supervisor.ts'

const READY_MS = 60_000
const run = promisify(execFile)

/** Apicurio Registry, which also has Confluent's REST interface. */
export const apicurio: JavaArtifacts = {
  label: 'Registry',
  megabytes: 109,
  pomFile: fileURLToPath(new URL('./pom.xml', import.meta.url)),
  goal: ['dependency:copy'],
  // Maven's own unpacking truncates names that are too long for old archives.
  async finish(dir) {
    const [archive = ''] = await readdir(dir)
    await run('tar', ['-xzf', join(dir, archive), '-C', dir])
    await rm(join(dir, archive))
  },
}

/** Starts a registry in memory that refuses schemas that are not BACKWARD compatible. */
export async function startRegistry(options: Pick<JarsOptions, 'cacheDir' | 'onProgress'>) {
  const home = await fetchArtifacts(apicurio, options)
  const jar = (await readdir(home)).find(name => name.endsWith('-runner.jar'))!
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-registry-'))
  const port = await findFreePort()
  const settings = [
    ...['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Djava.io.tmpdir=${dir}`],
    ...['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`],
    ...['-Dquarkus.log.level=WARN', '-Dquarkus.http.access-log.enabled=false'],
  ]
  const log = await open(join(dir, 'log'), 'a')
  const java = await spawnGuarded('java', [...settings, '-jar', join(home, jar)], {
    cwd: dir,
    stdio: ['ignore', log.fd, log.fd],
  })
  await log.close()
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const stop = async () => {
    await endProcess(java, 3000)
    await rm(dir, { recursive: true, force: true })
  }
  for (const deadlineMs = performance.now() + READY_MS; !(await isReady(url)); await sleep(100)) {
    if (java.exitCode === null && performance.now() < deadlineMs) continue
    const output = await readFile(join(dir, 'log'), 'utf8')
    await stop()
    throw new Error(`the registry did not start: ${output.slice(-1000)}`)
  }
  await setCompatibility(url, 'BACKWARD')
  return { url, [Symbol.asyncDispose]: stop }
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/subjects`).then(
    response => response.ok,
    () => false,
  )
}

/** BACKWARD is Confluent's default, but not Apicurio's. */
async function setCompatibility(url: string, compatibility: string): Promise<void> {
  await fetch(`${url}/config`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ compatibility }),
  })
}
