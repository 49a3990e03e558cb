// Kafka's published jars, which Maven fetches once into a cache. The cache is outside node_modules,
// because every `npm ci` empties that folder.
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { killGroup, spawnGuarded } from '../processes/supervisor.ts'
import {
  findJavaProblem,
  findMavenProblem,
  type JavaTools,
  KafkaProblem,
  toolsInPath,
} from './java.ts'

const PROGRESS_STEP_MEGABYTES = 10

/** A set of files that is fetched once and then stays in the cache. */
export type JavaArtifacts = {
  /** The name of the files in progress lines and errors. */
  label: string
  megabytes: number
  pomFile: string
  /** Maven's goal and its options, without the output folder. */
  goal: string[]
  /** Completes the folder after Maven has filled it. */
  finish?: (dir: string) => Promise<void>
}

const kafka: JavaArtifacts = {
  label: 'Kafka',
  megabytes: 44,
  pomFile: fileURLToPath(new URL('./pom.xml', import.meta.url)),
  goal: ['dependency:copy-dependencies', '-DincludeScope=runtime'],
}

export type JarsOptions = {
  /** The folder in which fetched jars stay between runs. */
  cacheDir: string
  /** Called with one line of progress for people. */
  onProgress?: ((line: string) => void) | undefined
  tools?: JavaTools | undefined
  signal?: AbortSignal | undefined
}

/** `fetchArtifacts` for the jars of a local Kafka (44 MB, about 10 s). */
export const fetchKafkaJars = (options: JarsOptions) => fetchArtifacts(kafka, options)

/**
 * Returns the folder of the artifacts, and fetches the artifacts first if the cache does not
 * contain them. Two processes may fetch at once: each process fills a folder of its own, and the
 * first rename wins. Rejects with a KafkaProblem when Maven is missing or fails, and with the
 * reason of the signal when the signal aborts.
 */
export async function fetchArtifacts(
  artifacts: JavaArtifacts,
  options: JarsOptions,
): Promise<string> {
  const { cacheDir, tools = toolsInPath, onProgress = () => {}, signal } = options
  const target = await folderOf(artifacts, cacheDir)
  if (await exists(target)) return target
  const problem = await findMavenProblem(tools)
  if (problem) throw problem
  await mkdir(cacheDir, { recursive: true })
  const temporary = await mkdtemp(`${target}.`)
  try {
    const { label, megabytes } = artifacts
    onProgress(`fetching ${label} from Maven Central, once (${megabytes} MB)`)
    await fetchInto(temporary, artifacts, tools.mvn, onProgress, signal)
    await artifacts.finish?.(temporary)
    await rename(temporary, target).catch(async error => {
      if (!(await exists(target))) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return target
}

/**
 * Returns one line that says what is missing for a local Kafka (or other Java artifacts) and how to
 * install it; null when nothing is missing. Maven is needed only while the jars are not in the
 * cache.
 */
export async function describeJavaProblem(
  options: Pick<JarsOptions, 'cacheDir' | 'tools'>,
  artifacts: JavaArtifacts = kafka,
): Promise<string | null> {
  const { cacheDir, tools = toolsInPath } = options
  const java = await findJavaProblem(tools)
  if (java) return java.message
  if (await exists(await folderOf(artifacts, cacheDir))) return null
  return (await findMavenProblem(tools))?.message ?? null
}

/** The megabytes that a line of Maven's output reports as downloaded; 0 for any other line. */
export function parseDownloadedMegabytes(line: string): number {
  const [, amount, unit] = /Downloaded from .* \(([\d.]+) (B|kB|MB) at /.exec(line) ?? []
  const megabytes: Record<string, number> = { B: 1e-6, kB: 1e-3, MB: 1 }
  return Number(amount ?? 0) * (megabytes[unit ?? ''] ?? 0)
}

// The folder name contains a digest of pom.xml, so that a changed pom.xml does not use the jars of
// an earlier one.
async function folderOf({ label, pomFile }: JavaArtifacts, cacheDir: string): Promise<string> {
  const digest = createHash('sha256').update(await readFile(pomFile))
  return join(cacheDir, `${label.toLowerCase()}-${digest.digest('hex').slice(0, 12)}`)
}

async function fetchInto(
  dir: string,
  { label, pomFile, goal }: JavaArtifacts,
  mvn: string,
  onProgress: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  // With strict checksums a jar that was damaged in transfer fails here. In the broker it would
  // cause an error that nobody understands.
  const args = ['--batch-mode', '--strict-checksums', '--file', pomFile]
  args.push(...goal, `-DoutputDirectory=${dir}`)
  const maven = await spawnGuarded(mvn, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>(resolve => maven.once('close', resolve))
  const abort = () => killGroup(maven, 'SIGKILL')
  signal?.addEventListener('abort', abort)
  const firstError = await reportProgress(maven, label, onProgress)
  const code = await ended
  signal?.removeEventListener('abort', abort)
  signal?.throwIfAborted()
  if (code === 0) return
  const cure = 'check the connection and the proxy in ~/.m2/settings.xml, then start again'
  const reason = firstError ?? `mvn ended with exit code ${code}`
  throw new KafkaProblem('FETCH_FAILED', `${label} could not be fetched: ${cure} (${reason})`)
}

// Reads Maven's output to its end. Resolves to the first error line, or null.
async function reportProgress(
  maven: ChildProcess,
  label: string,
  onProgress: (line: string) => void,
): Promise<string | null> {
  let firstError: string | null = null
  let megabytes = 0
  let nextReport = PROGRESS_STEP_MEGABYTES
  for await (const line of createInterface({ input: maven.stdout! })) {
    if (line.startsWith('[ERROR] ')) firstError ??= line.slice('[ERROR] '.length)
    megabytes += parseDownloadedMegabytes(line)
    if (megabytes < nextReport) continue
    onProgress(`fetching ${label} from Maven Central: ${Math.round(megabytes)} MB`)
    nextReport += PROGRESS_STEP_MEGABYTES
  }
  return firstError
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
