import { BLOCK_FORMAT, BlockReader, blockFlags, FORMAT_MARK } from './block-reader.ts'
import { METER_STATE_NUMBERS, numbersOfMeterState } from './meter.ts'
import type { Quarter } from './quarter.ts'

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
 * amendments and points at the time of receipt, and flags.
 */
const HEAD_BYTES = 2 + 4 * 4 + 1
/** The time and the value of the last point before the quarter. */
const BEFORE_BYTES = 16
const TIME_BYTES = 4
const DOUBLE_BYTES = 8
const SHORT_BYTES = 4
const BLOCK_HEAD_BYTES = 2 + 1

/**
 * Packs a block. A point takes 16 bytes: ms within the quarter, value, and sequence above the
 * lowest of the quarter (20 bytes if the sequences are far apart). A metric takes 43 bytes and its
 * name, a meter 104 more. `endsElsewhere` names the metrics of the device whose last point is in
 * another block, with the start of that block.
 */
export function packBlock(
  { start, quarters }: Block,
  endsElsewhere: readonly (readonly [metric: string, blockStart: number])[],
): Buffer {
  const packed = Buffer.allocUnsafe(packedBytesOf(quarters, endsElsewhere))
  // A DataView writes several times as fast as the methods of a Buffer.
  const view = new DataView(packed.buffer, packed.byteOffset)
  let position = 0
  const writeUint16 = (number: number) => {
    view.setUint16(position, number, true)
    position += 2
  }
  const writeUint32 = (number: number) => {
    view.setUint32(position, number, true)
    position += 4
  }
  const writeDouble = (number: number) => {
    view.setFloat64(position, number, true)
    position += 8
  }
  const writeHead = (metric: string, counts: readonly number[], flags: number) => {
    const nameBytes = packed.write(metric, position + 2)
    writeUint16(nameBytes)
    position += nameBytes
    for (const count of counts) writeUint32(count)
    packed[position++] = flags
  }
  writeUint16(FORMAT_MARK)
  packed[position++] = BLOCK_FORMAT
  for (const [metric, quarter] of quarters) {
    const { before, times, values, sequences, meter, publishedCount, amended, atReceipt } = quarter
    const { lowest, isWide } = spanOf(sequences)
    const flags = (isWide ? blockFlags.isWide : 0) | (meter ? blockFlags.isMeter : 0)
    writeHead(metric, [times.length, publishedCount, amended, atReceipt], flags)
    writeDouble(before ? before.at : Number.NaN)
    writeDouble(before ? before.value : Number.NaN)
    if (meter) for (const number of numbersOfMeterState(meter)) writeDouble(number)
    for (const time of times) writeUint32(time - start)
    for (const value of values) writeDouble(value)
    writeDouble(lowest)
    if (isWide) for (const sequence of sequences) writeDouble(sequence)
    else for (const sequence of sequences) writeUint32(sequence - lowest)
  }
  for (const [metric, blockStart] of endsElsewhere) {
    writeHead(metric, [0, 0, 0, 0], 0)
    writeDouble(blockStart)
  }
  return packed
}

function packedBytesOf(
  quarters: Block['quarters'],
  endsElsewhere: readonly (readonly [metric: string, blockStart: number])[],
): number {
  let size = BLOCK_HEAD_BYTES
  for (const [metric, { times, sequences, meter }] of quarters) {
    size += HEAD_BYTES + Buffer.byteLength(metric) + BEFORE_BYTES + DOUBLE_BYTES
    if (meter) size += METER_STATE_NUMBERS * DOUBLE_BYTES
    const sequenceBytes = spanOf(sequences).isWide ? DOUBLE_BYTES : SHORT_BYTES
    size += times.length * (TIME_BYTES + DOUBLE_BYTES + sequenceBytes)
  }
  for (const [metric] of endsElsewhere) {
    size += HEAD_BYTES + Buffer.byteLength(metric) + DOUBLE_BYTES
  }
  return size
}

function spanOf(sequences: readonly number[]): { lowest: number; isWide: boolean } {
  let lowest = sequences[0]!
  let highest = lowest
  for (const sequence of sequences) {
    if (sequence < lowest) lowest = sequence
    if (sequence > highest) highest = sequence
  }
  return { lowest, isWide: highest - lowest > 0xffff_ffff }
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
  const reader = new BlockReader(packed, start)
  for (let entry = reader.next(); entry; entry = reader.next()) {
    const { metric, quarter, endBlockStart } = entry
    endBlockStarts.set(metric, endBlockStart)
    if (quarter) block.quarters.set(metric, quarter)
  }
  return { block, endBlockStarts }
}
