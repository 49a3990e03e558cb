import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../../config/config.ts'
import { damageAlarms, setAsideFilesOf } from '../../gateway/store/file/damaged-files.ts'
import { checkStore } from '../../gateway/store/read/store-check.ts'
import { type Check, type Finding, fault, ok, warn } from './finding.ts'

/** From this share of a bound on, somebody should know. */
const NEARLY_FULL = 0.8

/** Whether outbox and inbox can be written where they are configured, and what stands there. */
export function storeChecks({ outbox, inbox }: Pick<Config, 'outbox' | 'inbox'>): Check[] {
  const { bytes, freeDiskBytes } = outbox.bounds
  const checkOf = (kind: 'outbox' | 'inbox', file: string, maxBytes: number): Check => {
    const what = `${kind}.file ${file}`
    return {
      what,
      async look() {
        const place = placeFault(what, file)
        if (place) return [place]
        const found = contentOf(what, kind, file, maxBytes)
        return [found, ...room(what, file, freeDiskBytes), ...alarms(what, kind, file)]
      },
    }
  }
  return [
    checkOf('outbox', outbox.file, bytes),
    checkOf('inbox', inbox.file, Number.POSITIVE_INFINITY),
  ]
}

/** The folder is made at the first start, but what it lies in must be there. */
function placeFault(what: string, file: string): Finding | null {
  const folder = dirname(file)
  const base = existsSync(folder) ? folder : dirname(folder)
  const isBase = statSync(base, { throwIfNoEntry: false })?.isDirectory()
  if (!isBase) return fault(what, `there is no folder ${base}`, 'Create it, or mount its disk')
  const cure = `Let this user write there, or mount its disk so that it can be written`
  const closed = [base, file].find(path => existsSync(path) && !isWritable(path))
  return closed === undefined ? null : fault(what, `${closed} may not be written`, cure)
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function contentOf(
  what: string,
  kind: 'outbox' | 'inbox',
  file: string,
  maxBytes: number,
): Finding {
  const found = checkStore(kind, file)
  if (found.state === 'none') return ok(what, 'begun at the first start')
  if (found.state === 'foreign') return fault(what, found.fault, 'Name another path')
  if (found.state === 'damaged') {
    const by = kind === 'outbox' ? 'gateway' : 'bridge'
    return warn(what, `damaged: ${found.fault}`, `Start the ${by}: it salvages what can be read`)
  }
  if (found.state === 'unreadable') {
    return fault(what, found.fault, 'Run this as the user that gateway and bridge run as')
  }
  const { usedBytes } = found
  if (usedBytes < maxBytes * NEARLY_FULL) return ok(what, `${formatBytes(usedBytes)} in use`)
  const value = `${formatBytes(usedBytes)} of ${formatBytes(maxBytes)} in use (outbox.bounds.bytes)`
  if (usedBytes < maxBytes) return warn(what, value, 'It empties when Kafka takes what waits')
  return fault(what, value, 'Raise the bound, or see below why Kafka does not take what waits')
}

function room(what: string, file: string, minBytes: number): Finding[] {
  const folder = existsSync(dirname(file)) ? dirname(file) : dirname(dirname(file))
  const { bavail, blocks, bsize } = statfsSync(folder)
  const freeBytes = bavail * bsize
  // A file system that does not tell is not a full one.
  if (blocks === 0 || freeBytes >= minBytes) return []
  const value = `${formatBytes(freeBytes)} free on its disk, and not ${formatBytes(minBytes)}`
  return [fault(what, `${value} (outbox.bounds.freeDiskBytes)`, 'Free some space on that disk')]
}

function alarms(what: string, kind: 'outbox' | 'inbox', file: string): Finding[] {
  if (!existsSync(dirname(file))) return []
  return damageAlarms(kind, setAsideFilesOf(file)).map(alarm =>
    warn(what, alarm, 'See what the ledger says is missing, and remove it'),
  )
}

/** A size as a person reads it. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let [value, unit] = [bytes, 0]
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
