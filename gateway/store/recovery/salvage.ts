import { openPages } from '../file/sqlite-pages.ts'
import { type Cell, cellsIn, type SqlValue, valuesOf } from '../file/sqlite-records.ts'
import { type GroupRow, isBodyIntact, readHeader, type ZoneRange } from '../groups/group-codec.ts'
import { GROUP_COLUMNS } from '../groups/group-table.ts'
import { isPayloadDropped } from '../notes/dead-letter-bound.ts'
import { isNoteIntact, type NoteRow } from '../notes/note-log.ts'

/** A group with an intact header. `isIntact` is true when the body is intact, too. */
export type SalvagedGroup = { row: GroupRow; zones: ZoneRange[]; isIntact: boolean }

/**
 * The row that identifies the store. The row has no checksum, so its values may be damaged.
 * `created` is in ms since 1970.
 */
export type SalvagedStore = { id: Buffer; gateway: string; created: number; epoch: number }

export type Salvage = ReturnType<typeof openSalvage>

/** The column types of the tables in outbox and inbox: i integer, t text, b blob, 0 primary key. */
const SHAPES = { groups: '0itiiiibibiib', notes: '0tiib', store: 'btii' }

/**
 * Finds all readable rows of an outbox or inbox, wherever the file is damaged: scans each page of
 * the file and of the write-ahead log independently, and verifies the checksum of each row that has
 * one. Yields rows in the order of their numbers, each number once. One row is in memory at a time.
 */
export function openSalvage(file: string) {
  const pages = openPages(file)
  const cells = { groups: [] as Cell[], notes: [] as Cell[], store: [] as Cell[] }
  // Page 1 is skipped, because it contains only SQLite's list of tables.
  for (let number = 2; number <= pages.count; number++) {
    const page = pages.page(number)
    for (const cell of page ? cellsIn(page, number) : []) {
      const shape = shapeOf(cell.types)
      if (shape.startsWith(SHAPES.groups)) cells.groups.push(cell)
      else if (shape.startsWith(SHAPES.notes)) cells.notes.push(cell)
      else if (shape.startsWith(SHAPES.store)) cells.store.push(cell)
    }
  }

  /**
   * Yields the best row of each number: an intact row that was not replaced if there is one, or
   * else any row. Of several intact groups, the group with the most sequences is best, because free
   * pages may still contain older groups that one later group replaced.
   */
  function* inOrder<T extends Candidate>(
    cells: Cell[],
    read: (values: SqlValue[]) => T | null,
  ): Iterable<T> {
    cells.sort((a, b) => a.rowid - b.rowid)
    for (let from = 0, to = 0; from < cells.length; from = to) {
      let best: T | null = null
      for (; to < cells.length && cells[to]!.rowid === cells[from]!.rowid; to++) {
        const values = valuesOf(pages, cells[to]!)
        const candidate = values && read(values)
        if (candidate && (!best || rankOf(candidate) > rankOf(best))) best = candidate
      }
      if (best) yield best
    }
  }

  return {
    groups: () => inOrder(cells.groups, groupFrom),
    notes: () => inOrder(cells.notes, noteFrom),
    store(): SalvagedStore | null {
      for (const cell of cells.store) {
        const [id, gateway, created, epoch] = valuesOf(pages, cell) ?? []
        if (id instanceof Buffer && id.length === 16)
          return { id, gateway: String(gateway), created: Number(created), epoch: Number(epoch) }
      }
      return null
    },
    close: () => pages.close(),
  }
}

type Candidate = { isIntact: boolean; mayBeReplaced?: boolean; row: GroupRow | NoteRow }

/**
 * Ranks the versions of a row: the newest intact version is highest. Free pages may still contain
 * versions that were replaced.
 */
function rankOf({ isIntact, mayBeReplaced, row }: Candidate): number {
  if (!isIntact) return 0
  return mayBeReplaced ? 1 : 2 + ('count' in row ? row.count : 0)
}

function groupFrom(values: SqlValue[]): SalvagedGroup | null {
  const columns = GROUP_COLUMNS.map((column, index) => [column, values[index]])
  const row: GroupRow = Object.fromEntries(columns)
  const zones = readHeader(row)
  return Array.isArray(zones) ? { row, zones, isIntact: isBodyIntact(row) } : null
}

function noteFrom([sequence, kind, at, crc, body]: SqlValue[]) {
  const row = { sequence, kind, at, crc, body } as NoteRow
  const mayBeReplaced = kind === 'deadletter' && !isPayloadDropped(row)
  return isNoteIntact(row) ? { row, isIntact: true, mayBeReplaced } : null
}

/** The column types of a row as letters of `SHAPES`, from the type codes of its record. */
function shapeOf(types: number[]): string {
  return types
    .map(type => (type === 0 ? '0' : type < 12 ? 'i' : type % 2 === 0 ? 'b' : 't'))
    .join('')
}
