/** A change to a file that no fsync has covered yet. */
type Change = { at: number; bytes: Buffer } | { size: number }

/** A file on the model's disk: what is on the medium, and what is on its way there. */
export type FileContents = ReturnType<typeof createFileContents>

const SECTOR_BYTES = 512
const TORN_AT_ANY_BYTE = 0.1
const GARBAGE = 0.15

/** An empty file. */
export function createFileContents() {
  const lasting = growable(Buffer.alloc(0))
  let pending: Change[] = []
  return {
    change: (change: Change) => void pending.push(change),
    sync(): void {
      for (const change of pending) lasting.apply(change)
      pending = []
    },
    /** All of it, as who reads the file now sees it. */
    get now(): Buffer {
      const image = growable(Buffer.from(lasting.bytes))
      for (const change of pending) image.apply(change)
      return image.bytes
    },
    /** What a power cut at this moment leaves of the file, by chance. */
    afterCut(random: () => number): Buffer {
      if (pending.length === 0) return lasting.bytes
      const image = growable(Buffer.from(lasting.bytes))
      const sizes = random() < 0.3 ? sizeOf(pending, image.bytes.length) : 0
      // A journal may have made a file longer whose new blocks hold what was there before.
      if (sizes > image.bytes.length) image.apply({ size: sizes })
      if (random() < GARBAGE) fillWithGarbage(image.bytes.subarray(lasting.bytes.length), random)
      for (const change of survivors(pending, random)) image.apply(change)
      return image.bytes
    },
  }

  function growable(start: Buffer) {
    let store = start
    let length = start.length
    return {
      get bytes() {
        return store.subarray(0, length)
      },
      apply(change: Change): void {
        const end = 'size' in change ? change.size : change.at + change.bytes.length
        if (end > store.length) {
          const larger = Buffer.alloc(Math.max(end, 2 * store.length))
          store.copy(larger, 0, 0, length)
          store = larger
        }
        if ('size' in change) {
          if (end < length) store.fill(0, end, length)
          length = end
        } else {
          change.bytes.copy(store, change.at)
          length = Math.max(length, end)
        }
      },
    }
  }
}

/** The length of the file if all its changes were made. */
function sizeOf(changes: Change[], start: number): number {
  let size = start
  for (const change of changes)
    size = 'size' in change ? change.size : Math.max(size, change.at + change.bytes.length)
  return size
}

/** Which of the changes were made, in which order, and how much of each. */
function survivors(changes: Change[], random: () => number): Change[] {
  const how = random()
  if (how < 0.1) return []
  if (how < 0.2) return changes
  if (how < 0.5) {
    const whole = Math.floor(random() * changes.length)
    return [...changes.slice(0, whole), ...torn(changes[whole]!, random)]
  }
  const share = random()
  const some = changes
    .filter(() => random() < share)
    .flatMap(change => (random() < 0.3 ? torn(change, random) : [change]))
  return how < 0.75 ? some : shuffled(some, random)
}

/**
 * What a cut in the middle leaves of a change: some of its sectors, or its first sectors, or (now
 * and then) its first bytes. Bytes beside it are never touched.
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
