/**
 * One file system call of a recorded process on a file of one store. A handle identifies an open
 * file.
 */
export type RecordedCall =
  | { kind: 'open'; handle: string; name: string; isEmptied: boolean; isDirectory: boolean }
  | { kind: 'write'; handle: string; offset: number; bytes: Buffer }
  | { kind: 'truncate'; handle: string; size: number }
  | { kind: 'sync'; handle: string }
  | { kind: 'rename'; from: string; to: string }
  | { kind: 'unlink'; name: string }
  | { kind: 'mark'; lines: string }

const KINDS = ['', 'open', 'write', 'truncate', 'sync', 'rename', 'unlink'] as const
const HEAD_BYTES = 24
const MARKS = 'marks'

/**
 * Parses the logs that recorder.c wrote for several processes, which ran one after another. Returns
 * the calls of each store in order; a store is a folder of the recorded directory. Writes to a file
 * `marks` become marks. Throws an Error when a log is truncated or damaged.
 */
export function parseRecording(logs: Buffer[]): Map<string, RecordedCall[]> {
  const stores = new Map<string, RecordedCall[]>()
  const openFiles = new Map<string, StorePath>()
  const add = (store: string, call: RecordedCall) => {
    const calls = stores.get(store) ?? []
    calls.push(call)
    stores.set(store, calls)
  }
  for (const [process, log] of logs.entries()) {
    for (let at = 0; at < log.length; ) {
      const kind = KINDS[log.readUInt32LE(at)]
      const handle = `${process}.${log.readUInt32LE(at + 4)}`
      const offset = Number(log.readBigInt64LE(at + 8))
      const end = at + HEAD_BYTES + log.readUInt32LE(at + 16)
      if (!kind || end > log.length)
        throw new Error(`recorder log ${process} is damaged at byte ${at}`)
      const bytes = log.subarray(at + HEAD_BYTES, end)
      at = end
      if (kind === 'open') openFiles.set(handle, parsePath(bytes.toString()))
      const { store, name } = openFiles.get(handle) ?? parsePath(bytes.toString())
      if (kind === 'open' && name === MARKS) continue
      add(store, toCall(kind, { handle, offset, bytes, name }))
    }
  }
  stores.delete('')
  return stores
}

type LogRecord = { handle: string; offset: number; bytes: Buffer; name: string }

function toCall(kind: Exclude<(typeof KINDS)[number], ''>, record: LogRecord): RecordedCall {
  const { handle, offset, bytes, name } = record
  if (kind === 'open')
    return { kind, handle, name, isEmptied: (offset & 1) > 0, isDirectory: (offset & 2) > 0 }
  if (kind === 'write' && name === MARKS) return { kind: 'mark', lines: bytes.toString() }
  if (kind === 'write') return { kind, handle, offset, bytes }
  if (kind === 'truncate') return { kind, handle, size: offset }
  if (kind === 'sync') return { kind, handle }
  if (kind === 'unlink') return { kind, name }
  const [from, to] = bytes.toString().split('\0') as [string, string]
  return { kind, from: parsePath(from).name, to: parsePath(to).name }
}

/**
 * A path in the recorded directory: the store's folder, and the file name in it ('' for the folder
 * itself).
 */
type StorePath = { store: string; name: string }

function parsePath(path: string): StorePath {
  const slash = path.indexOf('/')
  if (slash < 0) return { store: path, name: '' }
  return { store: path.slice(0, slash), name: path.slice(slash + 1) }
}
