import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import {
  type ConsumerDefinition,
  handlerDefinition,
  openConfiguredStore,
} from '../../../../cloud-bridge/consumers/catalogue.ts'
import { handler } from '../../../../cloud-bridge/consumers/handlers/wasted-energy.ts'
import { reprocess } from '../../../../cloud-bridge/consumers/reprocessing.ts'
import type { Handler } from '../../../../cloud-bridge/consumers/runtime/keyed-handler.ts'
import {
  createTopics,
  describeWithKafka,
  readTopic,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { openRealPlace, type RealPlace, startConsumer } from '../real-place.ts'
import { minuteAt, readingOf } from './readings.ts'

const ALERTS = 'sluice.alerts'
const wastedEnergy = handlerDefinition(handler as Handler<unknown>)
const sumOf = (counts: Partial<Record<string, number>>) =>
  Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0)

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await sleep(100)
}

/** What happens in the zone of a place: nobody for so many minutes, and what that costs. */
function absence({ run: site }: RealPlace, from: number, kwh: number) {
  return [
    readingOf({ site }, from, 'people', 0),
    readingOf({ site, device: 'm' }, from + 1, 'energy_kwh', kwh),
    readingOf({ site }, from + 2, 'people', 1),
  ]
}

/** Which alerts of a place stand in their topic: their ids, in order. */
async function alertsOf({ run }: RealPlace) {
  const records = (await readTopic(sharedKafka(), ALERTS)).flat()
  return records.flatMap(({ value, headers }) => {
    const { site, from, wastedKwh } = JSON.parse(value.toString())
    return site === run ? [{ id: headers['sluice-effect']?.toString(), from, wastedKwh }] : []
  })
}
const idOf = ({ run }: RealPlace, minute: number) => `wasted-energy/${run}-z1-${minute}/0`

describeWithKafka('wasted energy on Kafka', () => {
  it('is told once, although its consumer was ended in the middle and events come twice', async () => {
    await createTopics(sharedKafka(), [{ topic: ALERTS, partitions: 2 }])
    await using place = await openRealPlace(2)
    const { topics, send } = place
    const [gone, ...rest] = absence(place, 2, 10.5)
    const before = [readingOf({ site: place.run, device: 'm' }, 1, 'energy_kwh', 10), gone!]
    await send(topics.readings, before)
    {
      await using first = await startConsumer(place, wastedEnergy)
      await until(() => sumOf(first.runtime.metrics.totals.taken) === 2)
    }
    await send(topics.readings, [...before, ...rest, ...rest])
    await send(topics.backfill, rest)
    await using second = await startConsumer(place, wastedEnergy)
    await until(() => sumOf(second.runtime.metrics.totals.taken) === 8)
    await until(() => second.runtime.metrics.totals.effects > 0)
    const alert = { id: idOf(place, 4), from: minuteAt(2), wastedKwh: 0.5 }
    expect(await alertsOf(place)).toEqual([alert])
  }, 60_000)

  it('is built anew beside the one that runs, which then goes on in the new state', async () => {
    await createTopics(sharedKafka(), [{ topic: ALERTS, partitions: 2 }])
    await using place = await openRealPlace(2)
    const { run: site, topics, send } = place
    const meter = readingOf({ site, device: 'm' }, 1, 'energy_kwh', 10)
    // The building waits at an event of the other partition.
    const gate = readingOf({ site, zone: 'gate' }, 1, 'people', 1)
    const partitionOf = ({ zone }: { zone: string }) => (zone === 'gate' ? 1 : 0)
    await send(topics.readings, [meter, ...absence(place, 2, 11), gate], partitionOf)
    await using running = await startConsumer(place, wastedEnergy)
    const { totals } = running.runtime.metrics
    await until(() => totals.effects === 1)

    const gated = startGated(wastedEnergy)
    const builder = await place.openProcess(wastedEnergy.name)
    await using _ = builder.context.stack
    const built = reprocess(gated.definition, builder.context, 0)
    const { taken } = builder.context.runtime.metrics.totals
    await until(() => sumOf(taken) === 4)
    await send(topics.readings, absence(place, 5, 13))
    await until(() => totals.effects === 2)
    await until(() => sumOf(taken) === 7)
    const ids = [idOf(place, 4), idOf(place, 7)]
    expect((await alertsOf(place)).map(({ id }) => id)).toEqual(ids)
    expect(totals.faults['joined anew']).toBeUndefined()
    gated.open()
    await built

    await send(topics.readings, absence(place, 8, 17))
    const last = idOf(place, 10)
    await until(async () => (await alertsOf(place)).some(({ id }) => id === last))
    expect(totals.faults['joined anew']).toBe(1)
    const told = new Map((await alertsOf(place)).map(({ id, wastedKwh }) => [id, wastedKwh]))
    expect(told).toEqual(new Map([...ids, last].map((id, at) => [id, [1, 2, 4][at]])))
    builder.ending.abort()
  }, 60_000)

  it('is not built on when that was begun once more: it says so, and nothing is switched', async () => {
    await using place = await openRealPlace(1)
    const gated = startGated(wastedEnergy)
    const gate = readingOf({ site: place.run, zone: 'gate' }, 1, 'people', 1)
    await place.send(place.topics.readings, [gate])
    const builder = await place.openProcess(wastedEnergy.name)
    await using stack = builder.context.stack
    const built = reprocess(gated.definition, builder.context, 0)
    const refused = expect(built).rejects.toThrow('replaced this rebuild')
    await gated.reached
    const store = stack.use(openConfiguredStore(place.config))
    stack.use(await store.build(wastedEnergy.name))
    gated.open()
    await refused
    await using current = await store.open(wastedEnergy.name)
    expect(current.version.number).toBe(1)
  }, 60_000)
})

/** Waits, until it is let go, at what comes of the zone "gate"; `reached` says when. */
function startGated(definition: ConsumerDefinition) {
  const { promise, resolve: open } = Promise.withResolvers<void>()
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const gated: ConsumerDefinition = {
    ...definition,
    createHandling: place => async state => {
      const handling = await definition.createHandling!(place)(state)
      return {
        ...handling,
        async load(events) {
          if (events.some(({ event }) => event.zone === 'gate')) {
            reach()
            await promise
          }
          await handling.load(events)
        },
      }
    },
  }
  return { definition: gated, reached, open }
}
