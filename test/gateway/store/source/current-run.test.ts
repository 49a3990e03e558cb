import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { openStores } from './source-fixture.ts'

describe('a note of the bridge', () => {
  it('names the run whose outbox the bridge reads, also after the gateway restarts', () => {
    using stores = openStores()
    const runsOfNotes = () => stores.inbox.notesFrom(1).map(({ run }) => run)
    const rehearsed = [{ kind: 'rehearsed' as const, content: {} }]
    stores.inbox.addNotes(rehearsed)
    expect(runsOfNotes()).toEqual([undefined])
    const first = stores.openOutbox()
    stores.source.refresh()
    stores.inbox.addNotes(rehearsed)
    first.close()
    const second = stores.openOutbox()
    stores.source.plan.recordContact(second.store)
    expect(runsOfNotes()).toEqual([undefined, first.epoch, second.epoch])
    second.close()
    // While the outbox is away, the newest run that was read is the best known.
    stores.removeOutbox()
    stores.source.refresh()
    stores.inbox.addNotes(rehearsed)
    expect(runsOfNotes().at(-1)).toBe(second.epoch)
  })
})

describe('the name of the gateway', () => {
  it('is that of the run now, also when the gateway is renamed while the bridge runs', () => {
    using stores = openStores()
    stores.openOutbox().close()
    expect(stores.source.refresh()).toMatchObject({ gateway: 'gw' })
    openOutbox({ file: stores.outboxFile, gateway: 'renamed' }).close()
    expect(stores.source.refresh()).toMatchObject({ gateway: 'renamed' })
  })
})

describe('a note of the bridge that waits while the gateway is renamed', () => {
  it('keeps the name and the run of the time when the note was written', () => {
    using stores = openStores()
    const first = stores.openOutbox()
    stores.source.refresh()
    const content = { store: first.store.toString('hex'), behind: [] }
    stores.inbox.addNotes([{ kind: 'contact', content }])
    first.close()
    stores.stop()
    const renamed = openOutbox({ file: stores.outboxFile, gateway: 'renamed' })
    stores.start()
    stores.source.refresh()
    stores.inbox.addNotes([{ kind: 'contact', content }])
    renamed.close()
    expect(stores.inbox.notesFrom(1)).toMatchObject([
      { gateway: 'gw', run: first.epoch, content },
      { gateway: 'renamed', run: renamed.epoch, content },
    ])
  })
})
