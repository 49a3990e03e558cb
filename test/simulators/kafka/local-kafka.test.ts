import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  fetchClusterMetadata,
  parseClusterMetadata,
} from '../../../simulators/kafka/cluster-metadata.ts'
import { findFreePort, isPortFree } from '../../../simulators/kafka/free-port.ts'
import {
  describeJavaProblem,
  fetchKafkaJars,
  parseDownloadedMegabytes,
} from '../../../simulators/kafka/jars.ts'
import { findJavaProblem, javaMajorVersion, toolsInPath } from '../../../simulators/kafka/java.ts'
import {
  type LocalKafka,
  readiness,
  startLocalKafka,
} from '../../../simulators/kafka/local-kafka.ts'

const ownCache = process.env.SLUICE_CACHE ?? join(homedir(), '.cache', 'sluice')

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-kafka-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function program(name: string, script: string): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

describe('javaMajorVersion', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_442"', 8],
    ['openjdk version "25" 2025-09-16', 25],
    ['Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21.0.1-ea"', 21],
    ['command not found', null],
  ])('%s', (output, major) => {
    expect(javaMajorVersion(output)).toBe(major)
  })
})

describe('javaProblem', () => {
  const java17 = () => program('java17', `echo 'openjdk version "17.0.1"' >&2`)

  it('names a missing Java and its cure', async () => {
    const tools = { java: join(dir, 'none'), mvn: 'mvn' }
    const problem = await describeJavaProblem({ cacheDir: dir, tools })
    expect(problem).toMatch(/^Java is not installed: install Java 17 .*kafka\.brokers/)
    expect(problem).not.toContain('\n')
  })

  it('names a Java that is too old', async () => {
    const java = await program('java', `echo 'openjdk version "11.0.2"' >&2`)
    const problem = await describeJavaProblem({ cacheDir: dir, tools: { java, mvn: 'mvn' } })
    expect(problem).toMatch(/^Java 11 is too old for Kafka: install Java 17/)
  })

  it('names a missing Maven while the jars are not cached, and not afterwards', async () => {
    const tools = { java: await java17(), mvn: join(dir, 'none') }
    const options = { cacheDir: join(dir, 'cache'), tools }
    expect(await describeJavaProblem(options)).toMatch(/^Maven is not installed/)
    const mvn = await fakeMaven('')
    await fetchKafkaJars({ ...options, tools: { ...tools, mvn } })
    expect(await describeJavaProblem(options)).toBeNull()
  })

  it('rejects a start with an error code', async () => {
    const options = { dir, port: 0, cacheDir: dir, tools: { java: 'no-such-java', mvn: 'mvn' } }
    await expect(startLocalKafka(options)).rejects.toMatchObject({ code: 'JAVA_MISSING' })
  })
})

// A script in place of Maven: writes a jar into the folder of -DoutputDirectory, and records the
// call.
function fakeMaven(more: string): Promise<string> {
  return program(
    'mvn',
    `[ "$1" = -v ] && exit 0
    echo called >> '${dir}/calls'
    for a; do case $a in -DoutputDirectory=*) out=\${a#*=};; esac; done
    ${more}
    echo '[INFO] Downloaded from central: https://host/kafka_2.13.jar (12 MB at 6.7 MB/s)'
    echo jar > "$out/kafka.jar"`,
  )
}

describe('fetchKafkaJars', () => {
  const options = async (more: string) => ({
    cacheDir: join(dir, 'cache'),
    tools: { java: 'java', mvn: await fakeMaven(more) },
  })
  const calls = async () => (await readFile(join(dir, 'calls'), 'utf8')).match(/called/g)?.length

  it('fetches once, with progress, and never calls Maven a second time', async () => {
    const progress: string[] = []
    const given = { ...(await options('')), onProgress: (line: string) => progress.push(line) }
    const jars = await fetchKafkaJars(given)
    expect(await readdir(jars)).toEqual(['kafka.jar'])
    expect(progress).toEqual([expect.stringContaining('once'), expect.stringContaining('12 MB')])
    expect(await fetchKafkaJars(given)).toBe(jars)
    expect(await calls()).toBe(1)
  })

  it('allows two fetches at once', async () => {
    const given = await options('sleep 0.2')
    const [first, second] = await Promise.all([fetchKafkaJars(given), fetchKafkaJars(given)])
    expect(first).toBe(second)
    expect(await readdir(given.cacheDir)).toHaveLength(1)
    expect(await readdir(first)).toEqual(['kafka.jar'])
  })

  it('reports why Maven failed, and leaves no partial folder', async () => {
    const given = await options(`echo '[ERROR] Could not resolve host'; exit 1`)
    await expect(fetchKafkaJars(given)).rejects.toMatchObject({
      code: 'FETCH_FAILED',
      message: expect.stringMatching(/check the connection.*Could not resolve host/),
    })
    expect(await readdir(given.cacheDir)).toEqual([])
  })

  it('can be aborted', async () => {
    const given = await options(`echo '[INFO] Downloaded from x: y (99 MB at 1 MB/s)'; sleep 600`)
    const abort = new AbortController()
    const onProgress = (line: string) => line.includes('99 MB') && abort.abort(new Error('enough'))
    const fetching = fetchKafkaJars({ ...given, onProgress, signal: abort.signal })
    await expect(fetching).rejects.toThrow('enough')
    expect(await readdir(given.cacheDir)).toEqual([])
  })

  it('parses sizes from Maven’s lines', () => {
    const line = (size: string) =>
      `[INFO] Downloaded from central: https://a/b.jar (${size} at 1 MB/s)`
    expect(parseDownloadedMegabytes(line('5.9 MB'))).toBe(5.9)
    expect(parseDownloadedMegabytes(line('208 kB'))).toBeCloseTo(0.208)
    expect(parseDownloadedMegabytes(line('10 B'))).toBeCloseTo(0.00001)
    expect(parseDownloadedMegabytes('[INFO] Downloading from central: https://a/b.jar')).toBe(0)
  })
})

describe('askClusterMetadata', () => {
  it('rejects a truncated response, and one that is not Kafka’s', async () => {
    expect(() => parseClusterMetadata(Buffer.from('0000000100000001', 'hex'))).toThrow(RangeError)
    const server = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const port = await findFreePort()
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    await expect(fetchClusterMetadata(port)).rejects.toThrow("is not a Kafka broker's")
    server.close()
  })
})

describe('readiness', () => {
  const metadata = { clusterId: 'ours', controllerId: 1, brokerIds: [1] }

  it('needs a controller, the node itself and our own cluster', () => {
    expect(readiness(metadata, 'ours')).toBe('ready')
    expect(readiness(null, 'ours')).toBe('not-yet')
    expect(readiness({ ...metadata, controllerId: -1 }, 'ours')).toBe('not-yet')
    expect(readiness({ ...metadata, brokerIds: [] }, 'ours')).toBe('not-yet')
    expect(readiness(metadata, 'ours', 2)).toBe('not-yet')
    expect(readiness({ ...metadata, clusterId: 'theirs' }, 'ours')).toBe('another-kafka')
  })
})

const missing = await findJavaProblem(toolsInPath)
if (missing && process.env.CI) throw missing

describe.skipIf(missing !== null)('a real local Kafka', { timeout: 120_000 }, () => {
  const topic = 'kept'
  let kept: string
  let kafka: LocalKafka
  const start = (port = 0) => startLocalKafka({ dir: kept, port, cacheDir: ownCache })
  const portOf = (broker: LocalKafka) => Number(broker.brokers[0]?.split(':')[1])
  const clusterOf = async (broker: LocalKafka) =>
    (await fetchClusterMetadata(portOf(broker))).clusterId
  const exists = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }

  beforeAll(async () => {
    kept = await mkdtemp(join(tmpdir(), 'sluice-kafka-'))
    kafka = await start()
    await withAdmin(kafka, admin => admin.createTopics({ topics: [{ topic }] }))
  }, 120_000)
  afterAll(async () => {
    await kafka?.stop()
    await rm(kept, { recursive: true, force: true })
  })

  const withAdmin = async <T>(
    broker: LocalKafka,
    use: (admin: ReturnType<Kafka['admin']>) => Promise<T>,
  ): Promise<T> => {
    const admin = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    return use(admin).finally(() => admin.disconnect())
  }
  const topicsOf = (broker: LocalKafka) => withAdmin(broker, admin => admin.listTopics())

  it('answers as one broker of its own cluster', async () => {
    const metadata = await fetchClusterMetadata(portOf(kafka))
    expect(metadata.brokerIds).toEqual([1])
    const properties = await readFile(join(kept, 'data', 'meta.properties'), 'utf8')
    expect(properties).toContain(`cluster.id=${metadata.clusterId}\n`)
  })

  it('has a process group of its own, which the Ctrl-C of a terminal does not reach', () => {
    expect(process.kill(-kafka.pid, 0)).toBe(true)
  })

  it('keeps cluster and topics through a clean restart, at the same address', async () => {
    const before = [kafka.pid, kafka.brokers, await clusterOf(kafka)] as const
    await kafka.restart()
    expect(kafka.pid).not.toBe(before[0])
    expect([kafka.brokers, await clusterOf(kafka)]).toEqual(before.slice(1))
    expect(await topicsOf(kafka)).toContain(topic)
  })

  it('keeps topics through a crash', async () => {
    const pid = kafka.pid
    await kafka.kill()
    expect(exists(pid)).toBe(false)
    await expect(fetchClusterMetadata(portOf(kafka))).rejects.toThrow('ECONNREFUSED')
    await kafka.restart()
    expect(await topicsOf(kafka)).toContain(topic)
  })

  it('hangs while suspended and answers after it is resumed', async () => {
    kafka.suspend()
    try {
      // On a busy machine a signal takes effect late.
      await vi.waitFor(
        () => expect(fetchClusterMetadata(portOf(kafka), 200)).rejects.toThrow('no response'),
        10_000,
      )
    } finally {
      kafka.resume()
    }
    expect((await fetchClusterMetadata(portOf(kafka), 10_000)).brokerIds).toEqual([1])
  })

  it('does not start on a port or in a folder that another Kafka uses', async () => {
    await expect(start(portOf(kafka))).rejects.toMatchObject({ code: 'PORT_TAKEN' })
    await expect(start()).rejects.toMatchObject({
      code: 'FOLDER_TAKEN',
      message: expect.stringMatching(/process .* runs a Kafka in the folder/),
    })
    expect(await topicsOf(kafka)).toContain(topic)
  })

  it('stops without leaving java behind, and starts a second time at another address', async () => {
    const [pid, port, cluster] = [kafka.pid, portOf(kafka), await clusterOf(kafka)]
    await kafka.stop()
    expect(exists(pid)).toBe(false)
    expect(await isPortFree(port)).toBe(true)
    kafka = await start()
    expect(portOf(kafka)).not.toBe(port)
    expect(await clusterOf(kafka)).toBe(cluster)
    expect(await topicsOf(kafka)).toContain(topic)
  })

  it('aborts a start and leaves no process behind', async () => {
    await kafka.stop()
    const port = await findFreePort()
    const signal = AbortSignal.timeout(500)
    const starting = startLocalKafka({ dir: kept, port, cacheDir: ownCache, signal })
    await expect(starting).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(await isPortFree(port)).toBe(true)
  })
})
