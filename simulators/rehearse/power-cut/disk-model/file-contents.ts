/** A change to a file that no fsync has made durable yet. */
type Change = { at: number; bytes: Buffer } | { size: number }

/** A file on the model disk: its durable bytes, and the changes since the last fsync. */
export type FileContents = ReturnType<typeof createFileContents>

const SECTOR_BYTES = 512
const TORN_AT_ANY_BYTE = 0.1
const GARBAGE = 0.15

/** Creates an empty file. */
export function createFileContents() {
  const durable = growable(Buffer.alloc(0))
  let pending: Change[] = []
  return {
    change: (change: Change) => void pending.push(change),
    sync(): void {
      for (const change of pending) durable.apply(change)
      pending = []
    },
    /** The bytes as a reader sees them now. */
    get now(): Buffer {
      const image = growable(Buffer.from(durable.bytes))
      for (const change of pending) image.apply(change)
      return image.bytes
    },
    /** The bytes that a power cut at this moment leaves. `random` decides which changes survive. */
    afterCut(random: () => number): Buffer {
      if (pending.length === 0) return durable.bytes
      const image = growable(Buffer.from(durable.bytes))
      const newSize = random() < 0.3 ? sizeAfter(pending, image.bytes.length) : 0
      // A file system's journal may have made the new length durable before the content of the new
      // blocks.
      if (newSize > image.bytes.length) image.apply({ size: newSize })
      if (random() < GARBAGE) fillWithGarbage(image.bytes.subarray(durable.bytes.length), random)
      for (const change of survivors(pending, random)) image.apply(change)
      return image.bytes
    },
  }

  function growable(start: Buffer) {
    let capacity = start
    let length = start.length
    return {
      get bytes() {
        return capacity.subarray(0, length)
      },
      apply(change: Change): void {
        const end = 'size' in change ? change.size : change.at + change.bytes.length
        if (end > capacity.length) {
          const larger = Buffer.alloc(Math.max(end, 2 * capacity.length))
          capacity.copy(larger, 0, 0, length)
          capacity = larger
        }
        if ('size' in change) {
          if (end < length) capacity.fill(0, end, length)
          length = end
        } else {
          change.bytes.copy(capacity, change.at)
          length = Math.max(length, end)
        }
      },
    }
  }
}

/** The length of the file after all its changes. */
function sizeAfter(changes: Change[], start: number): number {
  let size = start
  for (const change of changes)
    size = 'size' in change ? change.size : Math.max(size, change.at + change.bytes.length)
  return size
}

/** Draws the changes that reach the medium, their order, and how much of each change. */
function survivors(changes: Change[], random: () => number): Change[] {
  const draw = random()
  if (draw < 0.1) return []
  if (draw < 0.2) return changes
  if (draw < 0.5) {
    const complete = Math.floor(random() * changes.length)
    return [...changes.slice(0, complete), ...torn(changes[complete]!, random)]
  }
  const probability = random()
  const surviving = changes
    .filter(() => random() < probability)
    .flatMap(change => (random() < 0.3 ? torn(change, random) : [change]))
  return draw < 0.75 ? surviving : shuffled(surviving, random)
}

/**
 * The parts of a change that survive a power cut during the write: some of its sectors, its first
 * sectors, or (sometimes) its first bytes. Bytes beside the write never change.
 */
function torn(change: Change, random: () => number): Change[] {
  if ('size' in change) return random() < 0.5 ? [change] : []
  const { at, bytes } = change
  if (random() < TORN_AT_ANY_BYTE) {
    return [{ at, bytes: bytes.subarray(0, Math.floor(random() * bytes.length)) }]
  }
  const sectors: Change[] = []
  for (let from = 0; from < bytes.length; ) {
    const to = Math.min(from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES), bytes.length)
    sectors.push({ at: at + from, bytes: bytes.subarray(from, to) })
    from = to
  }
  if (random() < 0.5) return sectors.slice(0, Math.floor(random() * sectors.length))
  return sectors.filter(() => random() < 0.5)
}

function shuffled<T>(items: T[], random: () => number): T[] {
  const mixed = [...items]
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!]
  }
  return mixed
}

function fillWithGarbage(bytes: Buffer, random: () => number): void {
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(random() * 2 ** 32, at)
}
