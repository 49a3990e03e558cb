import { openPages } from '../file/sqlite-pages.ts'
import { type Cell, cellsIn, type SqlValue, valuesOf } from '../file/sqlite-records.ts'
import { type GroupRow, isBodyIntact, readHeader, type ZoneRange } from '../groups/group-codec.ts'
import { GROUP_COLUMNS } from '../groups/group-table.ts'
import { isPayloadDropped } from '../notes/dead-letter-bound.ts'
import { isNoteIntact, type NoteRow } from '../notes/note-log.ts'

/** A group whose header can be trusted, and whether its body can. */
export type SalvagedGroup = { row: GroupRow; zones: ZoneRange[]; isWhole: boolean }

/** The one row that says whose store it is. It has no checksum. */
export type SalvagedStore = { id: Buffer; created: number; epoch: number }

export type Salvage = ReturnType<typeof openSalvage>

/** The columns of our tables, a letter each: integer, text, blob; 0 for the primary key. */
const SHAPES = { groups: '0itiiiibibiib', notes: '0tiib', store: 'btii' }

/**
 * Finds what can still be read in an outbox, whatever of it is damaged: looks at every page by
 * itself, in file and write-ahead log, and believes nothing without its checksum. Rows come in the
 * order of their numbers, each once, and one at a time in memory.
 */
export function openSalvage(file: string) {
  const pages = openPages(file)
  const cells = { groups: [] as Cell[], notes: [] as Cell[], store: [] as Cell[] }
  // Page 1 is the list of tables.
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
   * Of all rows with one number one that is whole and not replaced, or else any. Of groups the one
   * that stands for most numbers, because others may stand there still from before it took the
   * place of several.
   */
  function* inOrder<T extends Found>(
    all: Cell[],
    read: (values: SqlValue[]) => T | null,
  ): Iterable<T> {
    all.sort((a, b) => a.rowid - b.rowid)
    for (let from = 0, to = 0; from < all.length; from = to) {
      let best: T | null = null
      for (; to < all.length && all[to]!.rowid === all[from]!.rowid; to++) {
        const values = valuesOf(pages, all[to]!)
        const one = values && read(values)
        if (one && (!best || rankOf(one) > rankOf(best))) best = one
      }
      if (best) yield best
    }
  }

  return {
    groups: () => inOrder(cells.groups, groupFrom),
    notes: () => inOrder(cells.notes, noteFrom),
    store(): SalvagedStore | null {
      for (const cell of cells.store) {
        const [id, , created, epoch] = valuesOf(pages, cell) ?? []
        if (id instanceof Buffer && id.length === 16)
          return { id, created: Number(created), epoch: Number(epoch) }
      }
      return null
    },
    close: () => pages.close(),
  }
}

type Found = { isWhole: boolean; mayBeReplaced?: boolean; row: GroupRow | NoteRow }

/** One that nothing took the place of comes first; pages that are free now may hold others. */
function rankOf({ isWhole, mayBeReplaced, row }: Found): number {
  if (!isWhole) return 0
  return mayBeReplaced ? 1 : 2 + ('count' in row ? row.count : 0)
}

function groupFrom(values: SqlValue[]): SalvagedGroup | null {
  const columns = GROUP_COLUMNS.map((column, index) => [column, values[index]])
  const row: GroupRow = Object.fromEntries(columns)
  const zones = readHeader(row)
  return Array.isArray(zones) ? { row, zones, isWhole: isBodyIntact(row) } : null
}

function noteFrom([sequence, kind, at, crc, body]: SqlValue[]) {
  const row = { sequence, kind, at, crc, body } as NoteRow
  const mayBeReplaced = kind === 'deadletter' && !isPayloadDropped(row)
  return isNoteIntact(row) ? { row, isWhole: true, mayBeReplaced } : null
}

/** What a row's type codes say of its columns, in the letters of `SHAPES`. */
function shapeOf(types: number[]): string {
  return types
    .map(type => (type === 0 ? '0' : type < 12 ? 'i' : type % 2 === 0 ? 'b' : 't'))
    .join('')
}
