import { emptyQuarter, type Quarter } from './quarter.ts'

/** The points of a device in one quarter of an hour, by metric: one row of the state. */
export type Block = {
  start: number
  quarters: Map<string, Quarter>
  /** How many series of the device have their last point in this block. */
  endingSeries: number
}

export const emptyBlock = (start: number): Block => ({
  ...{ start, quarters: new Map(), endingSeries: 0 },
})

/**
 * Before and after a metric's name: the name's length; the counts of points, publications,
 * amendments.
 */
const HEAD_BYTES = 2 + 3 * 4
/** The time and the value of the last point before the quarter. */
const BEFORE_BYTES = 16
const TIME_BYTES = 4
const VALUE_BYTES = 8

/**
 * Packs a block. A point takes 12 bytes (ms within the quarter, value); a metric takes 30 bytes and
 * its name. `endsElsewhere` names the metrics of the device whose last point is in another block,
 * with the start of that block; each of these takes 22 bytes and its name.
 */
export function packBlock(
  { start, quarters }: Block,
  endsElsewhere: readonly (readonly [metric: string, blockStart: number])[],
): Buffer {
  let size = 0
  for (const [metric, { times }] of quarters) {
    size += HEAD_BYTES + Buffer.byteLength(metric) + BEFORE_BYTES
    size += times.length * (TIME_BYTES + VALUE_BYTES)
  }
  for (const [metric] of endsElsewhere) {
    size += HEAD_BYTES + Buffer.byteLength(metric) + VALUE_BYTES
  }
  const packed = Buffer.allocUnsafe(size)
  // A DataView writes several times as fast as the methods of a Buffer.
  const view = new DataView(packed.buffer, packed.byteOffset)
  let position = 0
  const writeUint32 = (number: number) => {
    view.setUint32(position, number, true)
    position += 4
  }
  const writeDouble = (number: number) => {
    view.setFloat64(position, number, true)
    position += 8
  }
  const writeHead = (metric: string, count: number, published: number, amended: number) => {
    const nameBytes = packed.write(metric, position + 2)
    view.setUint16(position, nameBytes, true)
    position += 2 + nameBytes
    writeUint32(count)
    writeUint32(published)
    writeUint32(amended)
  }
  for (const [metric, { before, times, values, publishedCount, amended }] of quarters) {
    writeHead(metric, times.length, publishedCount, amended)
    writeDouble(before ? before.at : Number.NaN)
    writeDouble(before ? before.value : Number.NaN)
    for (const time of times) writeUint32(time - start)
    for (const value of values) writeDouble(value)
  }
  for (const [metric, blockStart] of endsElsewhere) {
    writeHead(metric, 0, 0, 0)
    writeDouble(blockStart)
  }
  return packed
}

/**
 * Unpacks a block. `endBlockStarts` gives, for each metric that the device had when the block was
 * packed, the start of the block with the metric's last point.
 */
export function unpackBlock(
  start: number,
  packed: Buffer,
): { block: Block; endBlockStarts: Map<string, number> } {
  const block = emptyBlock(start)
  const endBlockStarts = new Map<string, number>()
  let position = 0
  const readUint32 = () => {
    position += 4
    return packed.readUInt32LE(position - 4)
  }
  const readDouble = () => {
    position += 8
    return packed.readDoubleLE(position - 8)
  }
  while (position < packed.length) {
    const nameStart = position + 2
    position = nameStart + packed.readUInt16LE(position)
    const metric = packed.toString('utf8', nameStart, position)
    const [count, publishedCount, amended] = [readUint32(), readUint32(), readUint32()]
    if (count === 0) {
      endBlockStarts.set(metric, readDouble())
      continue
    }
    endBlockStarts.set(metric, start)
    const before = { at: readDouble(), value: readDouble() }
    const quarter: Quarter = {
      ...emptyQuarter(start, Number.isNaN(before.at) ? null : before),
      ...{ publishedCount, amended },
    }
    for (let nth = 0; nth < count; nth++) quarter.times.push(start + readUint32())
    for (let nth = 0; nth < count; nth++) quarter.values.push(readDouble())
    block.quarters.set(metric, quarter)
  }
  return { block, endBlockStarts }
}
