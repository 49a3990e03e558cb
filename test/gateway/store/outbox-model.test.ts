import type BetterSqlite3 from 'better-sqlite3'
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { temporary } from './fixture.ts'
import { commands, failures, shortened } from './outbox-commands.ts'
import { Model, Real } from './outbox-model.ts'

const { opened } = vi.hoisted(() => ({ opened: [] as BetterSqlite3.Database[] }))

// Keeps hold of each connection, because only its own max_page_count makes a commit fail.
vi.mock('better-sqlite3', async importOriginal => {
  const { default: Database } = await importOriginal<{ default: typeof BetterSqlite3 }>()
  class Held extends Database {
    constructor(...given: ConstructorParameters<typeof Database>) {
      super(...given)
      opened.push(this as never)
    }
  }
  return { default: Held }
})

const writing = (real: string) => opened.findLast(db => db.name === real && !db.readonly)!

it('an outbox holds what a list would, through failed commits, pruning, new epochs and kills', () => {
  fc.assert(
    fc.property(commands, sequence => {
      using place = temporary()
      let real: Real | undefined
      try {
        fc.modelRun(() => {
          const model = new Model()
          real = new Real(place.file('outbox.db'), () => writing(real!.file))
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
