import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { readTotals } from '../../../../cloud-bridge/consumers/analytics/api/totals.ts'
import { createEffectRelay } from '../../../../cloud-bridge/consumers/runtime/effect-relay.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { encodeEvent } from '../../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../../gateway/store/outbox.ts'
import { goldenEvent } from '../../../config/event/events-fixture.ts'
import { openWorkspace } from '../../../gateway/inspect/command.ts'
import { readOutbox } from '../../../gateway/store/fixture.ts'
import {
  describeWithKafka,
  freshTopic,
  openKafkaSink,
  partitionsOf,
  readTopic,
  sharedKafka,
} from '../../../setup/kafka/kafka.ts'
import { startBridge } from '../../forward/running-bridge.ts'
import { apiContext, openAnalytics } from '../analytics/analytics-fixture.ts'

const NOW = Date.now()
const foreign = Buffer.from('\u001b[31mnot an event')
const facts = { gateway: 'gw-1', store: 'aabb', origin: 'outbox', at: NOW }
const content = {
  reason: 'no JSON',
  place: 'line 1',
  topic: 'b/1',
  payload: 'Zm9v',
  clock: 'SYNCED',
}

const eventOf = (zoneSequence: number, receivedAt: number) =>
  encodeEvent({
    ...{
      ...goldenEvent,
      zone: 'z',
      sequence: zoneSequence,
      zoneSequence,
      receivedAt,
      observedAt: null,
    },
    measurements: [{ metric: 'm', number: 1, flag: null, text: null, unit: null }],
  })

/** Topics of one test, analytics on them, and ./sluice configured for them. */
async function openStage() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-letters-'))
  const names = ['readings', 'backfill', 'deadletters', 'ledger'] as const
  const entries = await Promise.all(
    names.map(async name => [name, await freshTopic(sharedKafka(), 2)] as const),
  )
  const topics = Object.fromEntries(entries) as Record<(typeof names)[number], string>
  const sink = await openKafkaSink(sharedKafka())
  const file = join(dir, 'sluice.yaml')
  writeFileSync(file, stringify({ kafka: { brokers: inject('brokers'), topics } }))
  const at = openWorkspace()
  return {
    topics,
    send: (topic: string, values: Buffer[], partition = 0) =>
      sink.send({
        topic,
        records: values.map(value => ({ key: Buffer.from('z'), partition, value })),
      }),
    /** Processes new records and sends their dead letters; returns the count of values. */
    async consume(isAllowed: (receivedAt: number) => boolean = () => true) {
      await using store = openSqliteStates(dir)
      await using state = await store.open('analytics')
      const { work, counts } = await openAnalytics({
        ...{ state, topic: topics.readings, clockOffsets: { offsetOf: () => null } },
        deadletters: topics.deadletters,
        start: handling => ({
          ...{ load: events => handling.load(events), drainChanges: () => handling.drainChanges() },
          handle(received) {
            if (!isAllowed(received.event.receivedAt)) throw new Error('not allowed today')
            handling.handle(received)
          },
        }),
      })
      for (const topic of [topics.readings, topics.backfill]) {
        const [records] = await readTopic(sharedKafka(), topic)
        const from = work.nextOffsets.get(topic) ?? 0
        await work.processRecords(
          topic,
          records!.filter(({ offset }) => offset >= from),
          new AbortController().signal,
        )
      }
      const ending = new AbortController()
      const effects = createEffectRelay({
        ...{
          sink,
          signal: ending.signal,
          partitionsOf: topic => partitionsOf(sharedKafka(), topic),
        },
        ...{ onSent: () => {}, onRejected: () => {}, onUnavailable: () => {} },
      })
      effects.wake(await state.claim(0))
      await effects.idle()
      const totals = await readTotals(state, apiContext)
      return { counts, values: totals.metrics[0]?.count ?? 0 }
    },
    sluice: (...args: string[]) => at.run('deadletters', ...args, '--cloud', '--config', file),
    async [Symbol.asyncDispose]() {
      at[Symbol.dispose]()
      await sink[Symbol.asyncDispose]()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

describe('./sluice deadletters --cloud', () => {
  it.each([
    [['list'], /kafka\.brokers is not configured: name some brokers/],
    [['retry'], /give either the ids of dead letters or --all/],
    [['drop', 'a', '--all'], /give either the ids of dead letters or --all/],
    [['show'], /missing required argument 'ids'/],
  ])('%j exits with 2 and names the cure', async (args, reason) => {
    using at = openWorkspace()
    const { code, stdout, stderr } = await at.run('deadletters', ...args, '--cloud')
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)])
  })
})

describeWithKafka('dead letters in Kafka', () => {
  let stage: Awaited<ReturnType<typeof openStage>>
  beforeAll(async () => {
    stage = await openStage()
  })
  afterAll(() => stage?.[Symbol.asyncDispose]())
  const idOf = (offset: number, topic = stage.topics.readings) => `analytics/${topic}/0/${offset}`
  const list = async (...args: string[]) => {
    const { code, stdout } = await stage.sluice('list', '--json', ...args)
    expect(code).toBe(0)
    return stdout
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line))
  }

  it('are listed and shown: those of consumers and of gateways', {
    timeout: 60_000,
  }, async () => {
    await stage.send(stage.topics.readings, [
      eventOf(1, NOW),
      eventOf(2, NOW + 1),
      foreign,
      eventOf(3, NOW + 2),
    ])
    const { counts, values } = await stage.consume(receivedAt => receivedAt !== NOW + 1)
    expect(counts).toMatchObject({ 'in order': 2, unusable: 2 })
    expect(values).toBe(2)
    const note = (sequence: number) =>
      Buffer.from(JSON.stringify({ ...facts, sequence, kind: 'deadletter', content }))
    await stage.send(stage.topics.deadletters, [note(5), note(6), Buffer.from('foreign')], 1)
    // The gateway retried one of the dead letters.
    const retried = {
      ...facts,
      sequence: 9,
      kind: 'retried',
      content: { deadletter: 5, sequence: 70 },
    }
    await stage.send(stage.topics.ledger, [Buffer.from(JSON.stringify(retried))])
    const letters = await list()
    expect(letters.map(({ id }) => id).sort()).toEqual([idOf(1), idOf(2), 'gateway/aabb/6'].sort())
    expect(letters.find(({ id }) => id === idOf(1))).toMatchObject({
      ...{ reason: 'not allowed today', attempts: 1, consumer: 'analytics', state: 'open' },
      value: eventOf(2, NOW + 1).toString('base64'),
    })
    expect((await list('--settled')).find(({ id }) => id === 'gateway/aabb/5').state).toBe(
      'retried',
    )
    const { stdout } = await stage.sluice('show', idOf(2), 'gateway/aabb/6')
    expect(stdout).toContain('\\u{1b}[31mnot an event')
    expect(stdout).toContain('letter #6 of outbox aabb')
    expect(stdout).not.toContain('\u001b')
    const unknown = await stage.sluice('show', 'analytics/x/0/1')
    expect(unknown).toMatchObject({ code: 1, stderr: 'there is no dead letter analytics/x/0/1\n' })
  })

  it('are retried unchanged: the consumer that dead-lettered a record counts it once', {
    timeout: 90_000,
  }, async () => {
    const result = await stage.sluice('retry', idOf(1), 'gateway/aabb/6')
    expect(result.code).toBe(1)
    expect(result.stdout).toContain(`${idOf(1)}  retried\n`)
    expect(result.stdout).toContain(
      'gateway/aabb/6  left as it was: only its gateway can decode it: ./sluice deadletters retry gateway/aabb/6 on gw-1',
    )
    expect((await stage.sluice('retry', idOf(1))).stdout).toContain(
      'left as it was: it was retried before',
    )
    const [sent] = await readTopic(sharedKafka(), stage.topics.backfill)
    expect(sent).toMatchObject([
      {
        value: eventOf(2, NOW + 1),
        key: Buffer.from('z'),
        headers: { 'sluice-attempts': Buffer.from('1') },
      },
    ])
    // A second copy, as after a retry that was interrupted before its outcome was stored.
    await stage.send(stage.topics.backfill, [eventOf(2, NOW + 1), eventOf(1, NOW)])
    const { counts, values } = await stage.consume()
    expect(counts).toMatchObject({ late: 1, duplicate: 2 })
    expect(values).toBe(3)
    const all = await stage.sluice('retry', '--all')
    expect(all).toMatchObject({ code: 0, stdout: `${idOf(2)}  retried\n` })
    await stage.consume()
    const retried = (await list()).filter(({ from }) => from === 'consumer')
    expect(retried).toMatchObject([{ id: idOf(3, stage.topics.backfill), attempts: 2 }])
  })

  it('are dropped, and stay on record', { timeout: 60_000 }, async () => {
    expect((await stage.sluice('drop', '--all')).stderr).toContain('2 dropped, 0 left as they were')
    expect(await list()).toEqual([])
    const states = (await list('--settled')).map(({ state }) => state)
    expect(states.sort()).toEqual(['dropped', 'dropped', 'retried', 'retried', 'retried'])
  })

  it('of a restored image are open, though the same numbers were dropped before', {
    timeout: 60_000,
  }, async () => {
    using place = openWorkspace()
    const { outboxFile: file, inboxFile } = place
    const { topics } = stage
    const until = { timeout: 20_000, interval: 50 }
    /** Runs gateway and bridge until all notes of the outbox are in Kafka. */
    const run = async (work: (outbox: Outbox) => void) => {
      const outbox = openOutbox({ file, gateway: 'gw', inboxFile })
      work(outbox)
      const bridge = await startBridge({ dir: place.dir, kafka: sharedKafka(), topics })
      const last = readOutbox(file).notes.at(-1)!.sequence
      await vi.waitFor(() => expect(bridge.inbox.nextNote(outbox.store)).toBe(last + 1), until)
      await bridge.stop()
      outbox.close()
      return `gateway/${outbox.store.toString('hex')}/${outbox.epoch}`
    }
    const storeDeadLetter = (payload: string) => (outbox: Outbox) => {
      const deadLetter = {
        reason: 'no JSON',
        place: '1',
        topic: 't',
        payload: Buffer.from(payload),
      }
      outbox.commit({ deadLetters: [{ at: NOW, deadLetter }] })
    }
    await run(() => {})
    const image = mkdtempSync(join(tmpdir(), 'sluice-image-'))
    cpSync(place.dir, image, { recursive: true })
    const number = readOutbox(file).notes.at(-1)!.sequence + 2
    const first = await run(outbox => {
      storeDeadLetter('old')(outbox)
      outbox.commit({
        notes: [{ note: { kind: 'dropped', content: dropOf(outbox, number) }, at: NOW }],
      })
    })
    rmSync(place.dir, { recursive: true })
    cpSync(image, place.dir, { recursive: true })
    rmSync(image, { recursive: true })
    const second = await run(storeDeadLetter('new'))
    const open = (await list()).filter(({ id }) => id.startsWith(first.split('/', 2).join('/')))
    expect(open).toMatchObject([{ id: `${second}/${number}`, state: 'open' }])
    expect(Buffer.from(open[0].value, 'base64').toString()).toBe('new')
    const { stdout } = await stage.sluice('show', '--json', `${first}/${number}`)
    expect(JSON.parse(stdout)).toMatchObject({ state: 'dropped', sequence: number })
    // The edge does not take one for the other either.
    const edge = (id: string) => place.run('deadletters', 'show', '--json', id)
    expect(await edge(`${second}/${number}`)).toMatchObject({ code: 0 })
    const other = await edge(`${first}/${number}`)
    expect(other).toMatchObject({ code: 1, stdout: '' })
    expect(other.stderr).toContain(`#${number} of this outbox is ${second}/${number}`)
  })
})

type Outbox = ReturnType<typeof openOutbox>

/** What the gateway's drop command writes about the dead letter with this number. */
function dropOf(outbox: Outbox, number: number) {
  const { run } = outbox.deadLetters.find(number)!
  return { deadletter: number, deadletterRun: run! }
}
