/** One call of the recorded process, on a file of one store. Handles stand for opened files. */
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
 * Reads the logs that recorder.c wrote for one process after another, and gives each store's calls
 * in their order; a store is a folder of the recorded directory. What the workload writes into
 * a file `marks` becomes marks. Throws an Error when a log is not whole.
 */
export function parseRecording(logs: Buffer[]): Map<string, RecordedCall[]> {
  const stores = new Map<string, RecordedCall[]>()
  const places = new Map<string, { store: string; name: string }>()
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
      if (!kind || end > log.length) throw new Error(`log ${process} is damaged at byte ${at}`)
      const bytes = log.subarray(at + HEAD_BYTES, end)
      at = end
      if (kind === 'open') places.set(handle, placeOf(bytes.toString()))
      const place = places.get(handle) ?? placeOf(bytes.toString())
      if (kind === 'open' && place.name === MARKS) continue
      add(place.store, callOf(kind, { handle, offset, bytes, name: place.name }))
    }
  }
  stores.delete('')
  return stores
}

type Raw = { handle: string; offset: number; bytes: Buffer; name: string }

function callOf(kind: Exclude<(typeof KINDS)[number], ''>, raw: Raw): RecordedCall {
  const { handle, offset, bytes, name } = raw
  if (kind === 'open')
    return { kind, handle, name, isEmptied: (offset & 1) > 0, isDirectory: (offset & 2) > 0 }
  if (kind === 'write' && name === MARKS) return { kind: 'mark', lines: bytes.toString() }
  if (kind === 'write') return { kind, handle, offset, bytes }
  if (kind === 'truncate') return { kind, handle, size: offset }
  if (kind === 'sync') return { kind, handle }
  if (kind === 'unlink') return { kind, name }
  const [from, to] = bytes.toString().split('\0') as [string, string]
  return { kind, from: placeOf(from).name, to: placeOf(to).name }
}

/** A path in the recorded directory: the store's folder, and the name in it ('' is the folder). */
function placeOf(path: string): { store: string; name: string } {
  const slash = path.indexOf('/')
  if (slash < 0) return { store: path, name: '' }
  return { store: path.slice(0, slash), name: path.slice(slash + 1) }
}
