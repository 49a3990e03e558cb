import type BetterSqlite3 from 'better-sqlite3'
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { temporary } from './fixture.ts'
import { commands, failures, shortened } from './outbox-commands.ts'
import { Model, Real } from './outbox-model.ts'

const { opened } = vi.hoisted(() => ({ opened: [] as BetterSqlite3.Database[] }))

// Records each connection, because a commit can be made to fail only with the max_page_count of its
// own connection.
vi.mock('better-sqlite3', async importOriginal => {
  const { default: Database } = await importOriginal<{ default: typeof BetterSqlite3 }>()
  class RecordedDatabase extends Database {
    constructor(...args: ConstructorParameters<typeof Database>) {
      super(...args)
      opened.push(this as never)
    }
  }
  return { default: RecordedDatabase }
})

const writingConnection = (file: string) => opened.findLast(db => db.name === file && !db.readonly)!

it('an outbox equals a list-based model after failed commits, pruning, new epochs and kills', () => {
  fc.assert(
    fc.property(commands, sequence => {
      using place = temporary()
      let real: Real | undefined
      try {
        fc.modelRun(() => {
          const model = new Model()
          real = new Real(place.file('outbox.db'), () => writingConnection(real!.file))
          model.begin(real.outbox.epoch)
          return { model, real }
        }, [...sequence, lastCheck])
      } finally {
        real?.outbox.close()
      }
    }),
    { numRuns: 60 },
  )
  expect(failures.count).toBeGreaterThan(10)
  expect(shortened.count).toBeGreaterThan(10)
})

const lastCheck: fc.Command<Model, Real> = {
  check: () => true,
  run: (model, real) => real.check(model),
  toString: () => 'check',
}
