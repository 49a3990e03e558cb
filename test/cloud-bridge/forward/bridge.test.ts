import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { reading } from '../readings.ts'
import { freshTopics, startBridge, type Topics } from './running-bridge.ts'

const partitions = 3
const zones = ['Halle 1/Süd', 'b', 'c', 'd', 'e', 'f', 'g']
const soon = { timeout: 15_000, interval: 20 }

describeWithKafka('the bridge, from a real outbox to a real Kafka', () => {
  let dir: string
  let topics: Topics
  let opened: { close(): void | Promise<void> }[]
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sluice-bridge-'))
    topics = freshTopics()
    opened = []
  })
  afterEach(async () => {
    for (const resource of opened.reverse()) await resource.close()
    await rm(dir, { recursive: true, force: true })
  })

  const create = (...names: (keyof Topics)[]) =>
    createTopics(
      sharedKafka(),
      names.map(name => ({ topic: topics[name], partitions })),
    )
  const outbox = () => {
    const box = openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' })
    opened.push(box)
    return box
  }
  const bridge = async (hotZoneOptions: { nowMs?: () => number } = {}) => {
    const options = { dir, kafka: sharedKafka(), topics, hotZoneOptions }
    const started = await startBridge(options)
    const stop = vi.fn(started.stop)
    opened.push({ close: () => (stop.mock.calls.length === 0 ? stop() : undefined) })
    return { ...started, stop }
  }
  const delivered = (running: { totals: { delivered: number } }, count: number) =>
    vi.waitFor(() => expect(running.totals.delivered).toBe(count), soon)
  const store = (to: ReturnType<typeof outbox>, names: string[], text?: string) =>
    to.commit({ readings: names.map(zone => reading(zone, text)), deadLetters: [] })
  const events = async () =>
    (await readTopic(sharedKafka(), topics.readings)).map(records =>
      records.map(({ key, value }) => ({ key: String(key), event: decodeEvent(value) })),
    )
  const sequences = async () =>
    (await events())
      .flat()
      .map(({ event }) => event.sequence)
      .sort((a, b) => a - b)
  const notes = async (topic: string) =>
    (await readTopic(sharedKafka(), topic)).flat().map(({ value }) => JSON.parse(String(value)))
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

  it('delivers every event once, with its zone as key, in order, to the zone’s partition', async () => {
    await create('readings', 'deadletters', 'ledger')
    const box = outbox()
    const running = await bridge()
    for (let group = 0; group < 20; group++) {
      store(box, [...zones, ...zones.slice(group % 7)].sort())
    }
    const count = box.lastSequence
    await delivered(running, count)
    expect(await sequences()).toEqual(numbers(count))
    const kafkajsPartitioner = kafkajs.Partitioners.DefaultPartitioner()
    const partitionMetadata = [0, 1, 2].map(partitionId => ({
      partitionErrorCode: 0,
      partitionId,
      leader: 1,
      replicas: [1],
      isr: [1],
    }))
    const found = await events()
    for (const zone of zones) {
      const at = found.findIndex(records => records.some(({ event }) => event.zone === zone))
      const ofZone = found.flat().filter(({ event }) => event.zone === zone)
      expect(ofZone.map(({ event }) => event.zoneSequence)).toEqual(numbers(ofZone.length))
      expect(new Set(ofZone.map(({ key }) => key))).toEqual(new Set([zone]))
      expect(found[at]!.filter(({ event }) => event.zone === zone)).toEqual(ofZone)
      const message = { key: zone, value: null }
      expect(at).toBe(kafkajsPartitioner({ topic: '', partitionMetadata, message }))
    }
  })

  it('wakes on the bell, and waits for an outbox that does not exist yet', async () => {
    await create('readings')
    const running = await bridge()
    await vi.waitFor(() => expect(running.source.backlog()).toBeNull())
    const box = outbox()
    for (let group = 1; group <= 3; group++) {
      store(box, zones)
      await delivered(running, group * zones.length)
    }
    expect(await sequences()).toEqual(numbers(3 * zones.length))
  })

  it('continues after the last delivered event when it is started again', async () => {
    await create('readings')
    const box = outbox()
    const first = await bridge()
    store(box, zones)
    await delivered(first, zones.length)
    await first.stop()
    store(box, zones)
    const second = await bridge()
    await delivered(second, zones.length)
    expect(await sequences()).toEqual(numbers(2 * zones.length))
  })

  it('delivers events without a ledger topic, and the notes once the topic exists', async () => {
    await create('readings', 'deadletters')
    const box = outbox()
    const running = await bridge()
    store(box, zones)
    const payload = Buffer.from('not json')
    const deadLetter = { reason: 'no JSON', place: '0', topic: 'building/x', payload }
    box.commit({ readings: [], deadLetters: [{ at: 1, deadLetter }] })
    await delivered(running, zones.length)
    await vi.waitFor(() => expect(running.waitReasons.notes).toContain(topics.ledger), soon)
    store(box, zones)
    await delivered(running, 2 * zones.length)
    expect(running.waitReasons.events).toBeNull()
    expect(running.totals.notes).toBe(0)

    await create('ledger')
    await vi.waitFor(() => expect(running.totals.notes).toBe(3), soon)
    expect(running.waitReasons.notes).toBeNull()
    expect((await notes(topics.ledger)).map(({ kind }) => kind).sort()).toEqual([
      'contact',
      'epoch',
    ])
    const content = { ...deadLetter, payload: payload.toString('base64') }
    expect(await notes(topics.deadletters)).toMatchObject([
      { gateway: 'gw', origin: 'outbox', kind: 'deadletter', sequence: 2, content },
    ])
  })

  it('keeps up with a flood of dead letters', async () => {
    await create('readings', 'deadletters', 'ledger')
    const box = outbox()
    const deadLetter = { reason: 'no JSON', place: '0', topic: 't', payload: Buffer.from('x') }
    const deadLetters = Array.from({ length: 10_000 }, (_, at) => ({ at, deadLetter }))
    box.commit({ readings: [], deadLetters })
    const running = await bridge()
    await vi.waitFor(() => expect(running.totals.notes).toBe(10_002), soon)
    const found = (await notes(topics.deadletters)).map(({ sequence }) => sequence)
    expect(found).toEqual(numbers(10_001).slice(1))
  })

  it('notes an event that Kafka rejects for good, and delivers its neighbours', async () => {
    await create('readings', 'deadletters', 'ledger')
    const box = outbox()
    const running = await bridge()
    store(box, ['b', 'c'])
    store(box, ['b'], randomBytes(1_200_000).toString('base64'))
    store(box, ['b', 'c'])
    await vi.waitFor(() => expect(running.totals.rejected).toBe(1), soon)
    await vi.waitFor(() => expect(running.source.backlog()?.events).toBe(0), soon)
    expect(await sequences()).toEqual([1, 2, 4, 5])
    expect(running.totals.delivered).toBe(4)
    expect(running.rejections.alarms()).toEqual([
      expect.stringMatching(/^Kafka rejected 1 event for topic .*: MESSAGE_TOO_LARGE\. Each bec/),
    ])
    await vi.waitFor(() => expect(running.totals.notes).toBe(4), soon)
    const rejected = (await notes(topics.ledger)).find(({ kind }) => kind === 'rejected')
    expect(rejected).toMatchObject({
      origin: 'inbox',
      sequence: 2,
      content: {
        store: box.store.toString('hex'),
        sequence: 3,
        zone: 'b',
        zoneSequence: 2,
        reason: expect.stringContaining('TOO_LARGE'),
      },
    })
    expect(rejected.store).not.toBe(box.store.toString('hex'))
  })

  it('finds the zone with most of the delivered events', async () => {
    await create('readings')
    const box = outbox()
    let minute = 0
    const running = await bridge({ nowMs: () => minute * 60_000 })
    const most = Array.from({ length: 3100 }, () => 'Halle 1/Süd')
    for (; minute < 6; minute++) {
      expect(running.hotZones.list()).toEqual([])
      store(box, [...most, ...zones])
      await delivered(running, box.lastSequence)
    }
    expect(running.hotZones.list()).toMatchObject([{ zone: 'Halle 1/Süd', partitions }])
    expect(await running.metricsText()).toContain(
      'sluice_zone_share{zone="Halle 1/Süd",of="events"} 0.99',
    )
  })

  it('delivers another outbox that replaces the first', async () => {
    await create('readings')
    const first = openOutbox({ file: join(dir, 'outbox.db'), gateway: 'gw' })
    const running = await bridge()
    store(first, zones)
    await delivered(running, zones.length)
    first.close()
    const names = ['', '-wal', '-shm', '.bell'].map(end => join(dir, `outbox.db${end}`))
    for (const name of names) await rm(name, { force: true })
    store(outbox(), zones)
    await delivered(running, 2 * zones.length)
    const ids = (await events()).flat().map(({ event }) => event.id)
    expect(new Set(ids).size).toBe(2 * zones.length)
  })
})
