import { windowSizeTable } from '../../../../config/window-size-table.ts'

export type WindowSize = keyof typeof windowSizeTable
/** The shortest size: its windows are stored as points. */
export const BASE_SIZE = '15m'
/** Sizes whose windows are stored as partial aggregates, built from windows of a shorter size. */
export type LongWindowSize = Exclude<WindowSize, typeof BASE_SIZE>

type TableRow = { ms: number; builtFrom: WindowSize | 'readings' }
const table: Readonly<Record<string, TableRow>> = windowSizeTable

/** All stored sizes, shortest first. */
export const windowSizes = Object.keys(table) as WindowSize[]
/** All stored sizes but the shortest, shortest first. */
export const longWindowSizes = windowSizes.filter(size => size !== BASE_SIZE)

export const windowLengthMs = (size: WindowSize): number => table[size]!.ms
export const BASE_MS = windowLengthMs(BASE_SIZE)

/** The shorter size whose windows merge into windows of this size. */
export const sourceSizeOf = (size: LongWindowSize) => table[size]!.builtFrom as WindowSize

const sizesBySource = Map.groupBy(longWindowSizes, sourceSizeOf)
/** The longer sizes that are built directly from windows of this size. */
export const sizesBuiltFrom = (size: WindowSize): readonly LongWindowSize[] =>
  sizesBySource.get(size) ?? []

/** The start of the quarter of an hour that contains a moment, both in ms since 1970. */
export const quarterStartOf = (at: number): number => Math.floor(at / BASE_MS) * BASE_MS
