import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { copyStore, reading, readOutbox, temporary } from '../fixture.ts'

/** The zone heads of the run before, as the epoch note of the newest run names them. */
function previousZones(file: string): unknown {
  const note = readOutbox(file).notes.findLast(({ kind }) => kind === 'epoch')!
  return (note.content.previous as { zones: unknown }).zones
}

describe('the zone heads of groups that are deleted before a heartbeat', () => {
  it.each(['prune', 'drop'] as const)('outlive %s and a kill', way => {
    using place = temporary()
    const [file, killed] = [place.file('outbox.db'), place.file('killed.db')]
    const outbox = openOutbox({ file, gateway: 'gw' })
    for (const zone of ['a', 'a', 'b', 'c']) outbox.commit({ readings: [reading(zone)] })
    const { pruning } = outbox
    const upTo = pruning.oldestGroups()[2]!
    if (way === 'prune') pruning.prune(upTo)
    else pruning.drop(upTo, [], 'a bound')
    copyStore(file, killed)
    outbox.close()
    openOutbox({ file: killed, gateway: 'gw' }).close()
    expect(new Map(previousZones(killed) as [string, number][])).toEqual(
      new Map([
        ['a', 2],
        ['b', 1],
        ['c', 1],
      ]),
    )
  })
})
