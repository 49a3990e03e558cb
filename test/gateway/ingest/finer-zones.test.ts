import { expect, it } from 'vitest'
import { defaults, type Route } from '../../../config/config.ts'
import { createFateDecision } from '../../../gateway/ingest/fate.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { readOutbox, temporary } from '../store/fixture.ts'

const [building] = defaults.ingest.routes
const finer: Route = {
  topic: 'building/{site}/zone/z7/sensor/{device}',
  format: 'json',
  zone: 'z7/{device}',
}
const message = (zone: string, device: string) => ({
  ...{ topic: `building/hq/zone/${zone}/sensor/${device}`, payload: Buffer.from('1') },
  ...{ receivedAt: 1, clock: 'SYNCED' as const },
})

it('start at zone sequence 1 with the next event, and leave events of the old zone unchanged', () => {
  using home = temporary()
  const file = home.file('outbox.db')
  const run = (routes: Route[], ...places: [zone: string, device: string][]) => {
    const outbox = openOutbox({ file, gateway: 'gw' })
    const fateOf = createFateDecision({ ...defaults.ingest, routes })
    const fates = places.map(([zone, device]) => fateOf(message(zone, device)))
    const readings = fates.flatMap(fate => ('reading' in fate ? fate.reading : []))
    outbox.commit({ readings, deadLetters: [] })
    outbox.close()
  }
  run([building!], ['z7', 'a'], ['z7', 'b'], ['z8', 'c'], ['z7', 'a'])
  run([finer, building!], ['z7', 'a'], ['z7', 'b'], ['z8', 'c'], ['z7', 'a'])
  const events = readOutbox(file).events
  expect(
    events.map(event => [event.sequence, event.zone, event.zoneSequence, event.device]),
  ).toEqual([
    ...[[1, 'z7', 1, 'a'] as const, [2, 'z7', 2, 'b'], [3, 'z8', 1, 'c'], [4, 'z7', 3, 'a']],
    ...[[5, 'z7/a', 1, 'a'] as const, [6, 'z7/b', 1, 'b'], [7, 'z8', 1, 'c']],
    [8, 'z7/a', 2, 'a'],
  ])
})

it('count for zonesMax', () => {
  const fateOf = createFateDecision({ ...defaults.ingest, routes: [finer, building!], zonesMax: 2 })
  const kinds = ['a', 'b', 'c', 'a'].map(device => Object.keys(fateOf(message('z7', device)))[0])
  expect(kinds).toEqual(['reading', 'reading', 'deadLetter', 'reading'])
})
