// Kafka's published jars, fetched once through Maven into a cache of our own. The cache is outside
// node_modules, because every `npm ci` empties that.
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

const progressStepMegabytes = 10

/** What is fetched once and then kept. */
export type JavaArtifacts = {
  /** how people call it */
  label: string
  megabytes: number
  pomFile: string
  /** Maven's goal and what it needs besides the folder to put it into */
  goal: string[]
  /** what is left to do in that folder */
  finish?: (dir: string) => Promise<void>
}

const kafka: JavaArtifacts = {
  label: 'Kafka',
  megabytes: 44,
  pomFile: fileURLToPath(new URL('./pom.xml', import.meta.url)),
  goal: ['dependency:copy-dependencies', '-DincludeScope=runtime'],
}

export type JarsOptions = {
  /** the folder in which fetched jars are kept between runs */
  cacheDir: string
  /** takes one line of progress, for people */
  onProgress?: ((line: string) => void) | undefined
  tools?: JavaTools | undefined
  signal?: AbortSignal | undefined
}

/** The same as fetchArtifacts, of what a local Kafka is made of (44 MB, some 10 s). */
export const fetchKafkaJars = (options: JarsOptions) => fetchArtifacts(kafka, options)

/**
 * Promise: the folder with what was asked for, fetched if it is not there yet. Two may fetch at
 * once: each fills a folder of its own and the first rename wins. Rejects with a KafkaProblem when
 * Maven is missing or fails, and with the signal's reason when aborted.
 */
export async function fetchArtifacts(wanted: JavaArtifacts, options: JarsOptions): Promise<string> {
  const { cacheDir, tools = toolsInPath, onProgress = () => {}, signal } = options
  const target = await folderOf(wanted, cacheDir)
  if (await exists(target)) return target
  const problem = await findMavenProblem(tools)
  if (problem) throw problem
  await mkdir(cacheDir, { recursive: true })
  const temporary = await mkdtemp(`${target}.`)
  try {
    const { label, megabytes } = wanted
    onProgress(`fetching ${label} from Maven Central, once (${megabytes} MB)`)
    await fetchInto(temporary, wanted, tools.mvn, onProgress, signal)
    await wanted.finish?.(temporary)
    await rename(temporary, target).catch(async error => {
      if (!(await exists(target))) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return target
}

/**
 * Promise: one line saying what is missing for a local Kafka (or what else is to run on Java) and
 * what to do about it, or null. Maven is asked for only while the cache does not hold the jars.
 */
export async function describeJavaProblem(
  options: Pick<JarsOptions, 'cacheDir' | 'tools'>,
  wanted: JavaArtifacts = kafka,
): Promise<string | null> {
  const { cacheDir, tools = toolsInPath } = options
  const java = await findJavaProblem(tools)
  if (java) return java.message
  if (await exists(await folderOf(wanted, cacheDir))) return null
  return (await findMavenProblem(tools))?.message ?? null
}

/** Megabytes that one line of Maven's output reports as downloaded: 0 for any other line. */
export function parseDownloadedMegabytes(line: string): number {
  const [, amount, unit] = /Downloaded from .* \(([\d.]+) (B|kB|MB) at /.exec(line) ?? []
  const megabytes: Record<string, number> = { B: 1e-6, kB: 1e-3, MB: 1 }
  return Number(amount ?? 0) * (megabytes[unit ?? ''] ?? 0)
}

// Named after what is asked for, so that a changed pom.xml never meets yesterday's jars.
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
  // strict, because a jar damaged on its way is better refused here than a riddle in the broker
  const args = ['--batch-mode', '--strict-checksums', '--file', pomFile]
  args.push(...goal, `-DoutputDirectory=${dir}`)
  const maven = await spawnGuarded(mvn, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>(resolve => maven.once('close', resolve))
  const abort = () => killGroup(maven, 'SIGKILL')
  signal?.addEventListener('abort', abort)
  const firstError = await follow(maven, label, onProgress)
  const code = await ended
  signal?.removeEventListener('abort', abort)
  signal?.throwIfAborted()
  if (code === 0) return
  const cure = 'check the connection and the proxy in ~/.m2/settings.xml, then start again'
  const reason = firstError ?? `mvn ended with ${code}`
  throw new KafkaProblem('FETCH_FAILED', `${label} could not be fetched: ${cure} (${reason})`)
}

// Reads Maven's output to its end; resolves to its first error line, if there was one.
async function follow(
  maven: ChildProcess,
  what: string,
  onProgress: (line: string) => void,
): Promise<string | null> {
  let firstError: string | null = null
  let megabytes = 0
  let nextReport = progressStepMegabytes
  for await (const line of createInterface({ input: maven.stdout! })) {
    if (line.startsWith('[ERROR] ')) firstError ??= line.slice('[ERROR] '.length)
    megabytes += parseDownloadedMegabytes(line)
    if (megabytes < nextReport) continue
    onProgress(`fetching ${what} from Maven Central: ${Math.round(megabytes)} MB`)
    nextReport += progressStepMegabytes
  }
  return firstError
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
