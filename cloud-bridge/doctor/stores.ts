import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../../config/config.ts'
import { formatBytes, formatTwoSizes } from '../../config/process/text-format.ts'
import { BALLAST_NEEDS_BYTES, ballastFile } from '../../gateway/store/file/ballast.ts'
import { damageAlarms, setAsideFilesOf } from '../../gateway/store/file/damaged-files.ts'
import { findPathFault } from '../../gateway/store/file/store-path.ts'
import { checkStore } from '../../gateway/store/read/store-check.ts'
import { type Check, type Finding, fault, ok, warning } from './finding.ts'

/** The check warns when more than this part of `outbox.bounds.bytes` is used. */
const NEARLY_FULL = 0.8

type StoreKind = 'outbox' | 'inbox'

/** Whether outbox and inbox can be written, and the state of the files. */
export function storeChecks({ outbox, inbox }: Pick<Config, 'outbox' | 'inbox'>): Check[] {
  const { bytes, freeDiskBytes } = outbox.bounds
  const checkOf = (kind: StoreKind, file: string, maxBytes: number): Check => {
    const subject = `${kind}.file ${file}`
    return {
      subject,
      async run() {
        const notWritable = pathFault(subject, kind, file)
        if (notWritable) return [notWritable]
        return [
          contentFinding(subject, kind, file, maxBytes),
          ...diskFindings(subject, file, freeDiskBytes),
          ...(kind === 'outbox' ? ballastFindings(subject, file) : []),
          ...alarmFindings(subject, kind, file),
        ]
      },
    }
  }
  return [
    checkOf('outbox', outbox.file, bytes),
    checkOf('inbox', inbox.file, Number.POSITIVE_INFINITY),
  ]
}

/** Reports under which id Kafka and the ledger know the gateway. */
export function gatewayIdCheck({ gateway, outbox }: Pick<Config, 'gateway' | 'outbox'>): Check {
  const subject = 'gateway.id'
  return { subject, run: async () => [gatewayIdFinding(subject, gateway.id, outbox.file)] }
}

function gatewayIdFinding(subject: string, configured: string | null, outboxFile: string): Finding {
  const store = checkStore('outbox', outboxFile)
  const stored = store.state === 'sound' ? store.gateway : null
  if (stored === null) return ok(subject, configured ?? 'drawn at the first start')
  if (configured === null) return ok(subject, `${stored}, from the outbox`)
  if (configured === stored) return ok(subject, stored)
  return ok(subject, `${configured}; the outbox is of ${stored} until the gateway's next start`)
}

/** The first start creates the default folder only; any other folder must exist. */
function pathFault(subject: string, kind: StoreKind, file: string): Finding | null {
  const place = findPathFault(file, `${kind}.db`)
  if (place) return fault(subject, place.reason, place.cure)
  const base = existingFolderOf(file)
  const readOnly = [base, file].find(path => existsSync(path) && !isWritable(path))
  if (readOnly === undefined) return null
  const cure = 'Allow this user to write there, or mount its disk read-write'
  return fault(subject, `${readOnly} is not writable`, cure)
}

/** The folder of the file; before the first start, the folder in which the start creates it. */
const existingFolderOf = (file: string) =>
  existsSync(dirname(file)) ? dirname(file) : dirname(dirname(file))

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function contentFinding(subject: string, kind: StoreKind, file: string, maxBytes: number): Finding {
  const store = checkStore(kind, file)
  if (store.state === 'none') return ok(subject, 'does not exist yet; created at the first start')
  if (store.state === 'foreign') return fault(subject, store.fault, store.cure)
  if (store.state === 'damaged') {
    const writer = kind === 'outbox' ? 'gateway' : 'bridge'
    const cure = `Start the ${writer}: it salvages what can be read`
    return warning(subject, `damaged: ${store.fault}`, cure)
  }
  if (store.state === 'unreadable') {
    return fault(subject, store.fault, 'Run the doctor as the user that runs gateway and bridge')
  }
  const { usedBytes } = store
  if (usedBytes < maxBytes * NEARLY_FULL) return ok(subject, `${formatBytes(usedBytes)} in use`)
  const value = `${formatBytes(usedBytes)} of ${formatBytes(maxBytes)} in use (outbox.bounds.bytes)`
  if (usedBytes < maxBytes) {
    return warning(subject, value, 'It empties when Kafka accepts the waiting events')
  }
  const cure = 'Raise the bound, or see the findings on Kafka: the events wait for Kafka'
  return fault(subject, value, cure)
}

function diskFindings(subject: string, file: string, minBytes: number): Finding[] {
  const freeBytes = freeBytesFor(file)
  if (freeBytes >= minBytes) return []
  const [free, min] = formatTwoSizes(freeBytes, minBytes)
  const value = `${free} free on its disk, less than ${min} (outbox.bounds.freeDiskBytes)`
  return [fault(subject, value, 'Free some space on that disk')]
}

/** The disk has no room for the ballast, without which the gateway accepts no messages. */
function ballastFindings(subject: string, file: string): Finding[] {
  const freeBytes = freeBytesFor(file)
  if (existsSync(ballastFile(file)) || freeBytes >= BALLAST_NEEDS_BYTES) return []
  const [needed, free] = formatTwoSizes(BALLAST_NEEDS_BYTES, freeBytes)
  const value = `the gateway refuses messages until ${needed} are free on its disk (${free} now)`
  return [fault(subject, value, 'Free some space on that disk')]
}

function freeBytesFor(file: string): number {
  const { bavail, blocks, bsize } = statfsSync(existingFolderOf(file))
  // Some file systems report 0 blocks; that does not mean that they are full.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
}

function alarmFindings(subject: string, kind: StoreKind, file: string): Finding[] {
  if (!existsSync(dirname(file))) return []
  const cure = 'See in the ledger which events are missing, and remove the file'
  return damageAlarms(kind, setAsideFilesOf(file)).map(alarm => warning(subject, alarm, cure))
}
