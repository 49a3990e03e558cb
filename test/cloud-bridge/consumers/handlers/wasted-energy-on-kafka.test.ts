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
import { type ConsumerStage, openConsumerStage, startConsumer } from '../consumer-stage.ts'
import { minuteAt, readingOf } from './readings.ts'

const ALERTS = 'sluice.alerts'
const wastedEnergy = handlerDefinition(handler as Handler<unknown>)
const sumOf = (counts: Partial<Record<string, number>>) =>
  Object.values(counts).reduce<number>((sum, count) => sum + (count ?? 0), 0)

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(100)
}

/** The readings of an empty zone: nobody for a minute, and the meter's value `kwh`. */
function absence({ run: site }: ConsumerStage, from: number, kwh: number) {
  return [
    readingOf({ site }, from, 'people', 0),
    readingOf({ site, device: 'm' }, from + 1, 'energy_kwh', kwh),
    readingOf({ site }, from + 2, 'people', 1),
  ]
}

/** The alerts of a stage in their topic, in order. */
async function alertsOf({ run }: ConsumerStage) {
  const records = (await readTopic(sharedKafka(), ALERTS)).flat()
  return records.flatMap(({ value, headers }) => {
    const { site, from, wastedKwh } = JSON.parse(value.toString())
    return site === run ? [{ id: headers['sluice-effect']?.toString(), from, wastedKwh }] : []
  })
}
const idOf = ({ run }: ConsumerStage, minute: number) => `wasted-energy/${run}-z1-${minute}/0`

describeWithKafka('wasted energy on Kafka', () => {
  it('is sent once, although its consumer restarts and events arrive twice', async () => {
    await createTopics(sharedKafka(), [{ topic: ALERTS, partitions: 2 }])
    await using stage = await openConsumerStage(2)
    const { topics, send } = stage
    const [left, ...rest] = absence(stage, 2, 10.5)
    const before = [readingOf({ site: stage.run, device: 'm' }, 1, 'energy_kwh', 10), left!]
    await send(topics.readings, before)
    {
      await using first = await startConsumer(stage, wastedEnergy)
      await until(() => sumOf(first.runtime.metrics.totals.taken) === 2)
    }
    await send(topics.readings, [...before, ...rest, ...rest])
    await send(topics.backfill, rest)
    await using second = await startConsumer(stage, wastedEnergy)
    await until(() => sumOf(second.runtime.metrics.totals.taken) === 8)
    await until(() => second.runtime.metrics.totals.effects > 0)
    const alert = { id: idOf(stage, 4), from: minuteAt(2), wastedKwh: 0.5 }
    expect(await alertsOf(stage)).toEqual([alert])
  }, 60_000)

  it('is rebuilt beside the running member, which then continues with the new state', async () => {
    await createTopics(sharedKafka(), [{ topic: ALERTS, partitions: 2 }])
    await using stage = await openConsumerStage(2)
    const { run: site, topics, send } = stage
    const meter = readingOf({ site, device: 'm' }, 1, 'energy_kwh', 10)
    // The rebuild waits at an event of the other partition.
    const gate = readingOf({ site, zone: 'gate' }, 1, 'people', 1)
    const partitionOf = ({ zone }: { zone: string }) => (zone === 'gate' ? 1 : 0)
    await send(topics.readings, [meter, ...absence(stage, 2, 11), gate], partitionOf)
    await using running = await startConsumer(stage, wastedEnergy)
    const { totals } = running.runtime.metrics
    await until(() => totals.effects === 1)

    const gated = createGated(wastedEnergy)
    const builder = await stage.openProcess(wastedEnergy.name)
    await using _ = builder.context.stack
    const rebuilt = reprocess(gated.definition, builder.context, 0)
    const { taken } = builder.context.runtime.metrics.totals
    await until(() => sumOf(taken) === 4)
    await send(topics.readings, absence(stage, 5, 13))
    await until(() => totals.effects === 2)
    await until(() => sumOf(taken) === 7)
    const ids = [idOf(stage, 4), idOf(stage, 7)]
    expect((await alertsOf(stage)).map(({ id }) => id)).toEqual(ids)
    expect(totals.faults['joined anew']).toBeUndefined()
    gated.open()
    await rebuilt

    await send(topics.readings, absence(stage, 8, 17))
    const last = idOf(stage, 10)
    await until(async () => (await alertsOf(stage)).some(({ id }) => id === last))
    expect(totals.faults['joined anew']).toBe(1)
    const sent = new Map((await alertsOf(stage)).map(({ id, wastedKwh }) => [id, wastedKwh]))
    expect(sent).toEqual(new Map([...ids, last].map((id, at) => [id, [1, 2, 4][at]])))
    builder.ending.abort()
  }, 60_000)

  it('is not rebuilt further after a later rebuild started: it reports that and switches nothing', async () => {
    await using stage = await openConsumerStage(1)
    const gated = createGated(wastedEnergy)
    const gate = readingOf({ site: stage.run, zone: 'gate' }, 1, 'people', 1)
    await stage.send(stage.topics.readings, [gate])
    const builder = await stage.openProcess(wastedEnergy.name)
    await using stack = builder.context.stack
    const rebuilt = reprocess(gated.definition, builder.context, 0)
    const rejected = expect(rebuilt).rejects.toThrow('replaced this rebuild')
    await gated.reached
    const store = stack.use(openConfiguredStore(stage.config))
    stack.use(await store.build(wastedEnergy.name))
    gated.open()
    await rejected
    await using current = await store.open(wastedEnergy.name)
    expect(current.version.number).toBe(1)
  }, 60_000)
})

/** A consumer that waits at events of the zone "gate" until `open`; `reached` resolves there. */
function createGated(definition: ConsumerDefinition) {
  const { promise, resolve: open } = Promise.withResolvers<void>()
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const gated: ConsumerDefinition = {
    ...definition,
    createHandling: context => async state => {
      const handling = await definition.createHandling!(context)(state)
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
