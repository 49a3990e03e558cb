import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from './config.ts'

/** What a running `sluice up` runs, as it notes in a file for the other commands. */
export type LocalRun = {
  pid: number
  kafka: { brokers: string[] }
  /** The address of each part for people, by the part's name. */
  addresses: Record<string, string>
}

/** The file of the note: `up.json`, in the folder of the outbox. */
export const localRunFile = ({ outbox }: Pick<Config, 'outbox'>): string =>
  join(dirname(outbox.file), 'up.json')

/** Notes what runs, until the note is disposed. A reader sees a complete note or none. */
export function openLocalRunNote(config: Pick<Config, 'outbox'>, run: LocalRun): Disposable {
  const file = localRunFile(config)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, `${JSON.stringify(run, null, 2)}\n`)
  renameSync(`${file}.new`, file)
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) }
}

/** The note of a `sluice up` that runs now; null without one, and after its process has ended. */
export function readLocalRun(config: Pick<Config, 'outbox'>): LocalRun | null {
  try {
    const run = JSON.parse(readFileSync(localRunFile(config), 'utf8')) as LocalRun
    const isNote = Array.isArray(run.kafka.brokers) && Number.isSafeInteger(run.pid)
    return isNote && isRunning(run.pid) ? run : null
  } catch {
    return null
  }
}

/**
 * The configuration for a command beside a running `sluice up`: without configured brokers, those
 * of the Kafka that `up` runs, which `say` reports. Otherwise the configuration itself.
 */
export function withRunningKafka(config: Config, say: (line: string) => void): Config {
  if (config.kafka.brokers.length > 0) return config
  const run = readLocalRun(config)
  if (!run || run.kafka.brokers.length === 0) return config
  const { brokers } = run.kafka
  const source = `of the running ./sluice up (process ${run.pid}, ${localRunFile(config)})`
  say(`kafka.brokers is not configured: using ${brokers.join(', ')} ${source}`)
  return { ...config, kafka: { ...config.kafka, brokers } }
}

/** Whether a process runs, also one of another user. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
