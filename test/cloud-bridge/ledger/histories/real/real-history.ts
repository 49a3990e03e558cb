import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKafkaClient } from '../../../../../cloud-bridge/kafka/configured-client.ts'
import { createLedgerReading } from '../../../../../cloud-bridge/ledger/verification.ts'
import { sendWithRetries } from '../../../../../cloud-bridge/retry/bounded-send.ts'
import { defaults } from '../../../../../config/config.ts'
import { partitionOf } from '../../../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../../../config/event/sensor-reading.ts'
import { pause } from '../../../../../config/process/pause.ts'
import { findFalseProof } from '../judgement.ts'
import { createRandom } from '../random.ts'
import { createCard } from '../simulated-card.ts'
import { PARTITIONS } from '../simulated-topics.ts'
import { World } from '../world.ts'
import { RealCard } from './real-card.ts'

const STEPS_MAX = 25
const SILENT_AFTER_MS = 1500

type Action = (history: RealHistory, card: RealCard, b: number, c: number) => unknown

/** How often each step occurs, and what it does to a card that is on. */
const actions: [weight: number, name: string, Action][] = [
  [8, 'accept', (_, card, b, c) => card.accept(1 + (b % 6), 'abc'[c % 3]!)],
  [5, 'deliver', (history, card) => history.deliver(card)],
  [4, 'beat', (_, card) => card.beat()],
  [2, 'restart', (_, card) => card.start()],
  [2, 'image', (_, card) => card.takeImage()],
  [1, 'restore card', (_, card, b) => card.restore(b, 'card')],
  [1, 'restore outbox', (_, card, b) => card.restore(b, 'outbox')],
  [1, 'clone', (history, card) => history.clone(card)],
  [1, 'replace card', (history, card) => history.replace(card)],
  [1, 'second gateway', (history, card) => history.add(card.card.files.outbox.gateway)],
  [1, 'rename', (_, card, b) => card.start(['gw', 'other'][b % 2]!)],
]

/**
 * A random history with real outboxes and inboxes, the bridge's own forwarding and a real Kafka.
 * The truth is that of the simulated world.
 */
export class RealHistory {
  readonly steps: string[] = []
  readonly #world = new World()
  readonly #dir = mkdtempSync(join(tmpdir(), 'sluice-model-'))
  readonly #cards: RealCard[] = []
  readonly #kafka: typeof defaults.kafka

  constructor(brokers: string[]) {
    const id = randomUUID()
    const topics = {
      readings: `readings-${id}`,
      backfill: `backfill-${id}`,
      ledger: `ledger-${id}`,
    }
    this.#kafka = { ...defaults.kafka, brokers, topics: { ...defaults.kafka.topics, ...topics } }
    this.#world.nowMs = Date.now()
  }

  add(gateway: string): void {
    this.#cards.push(new RealCard(this.#world, this.#dir, createCard('', gateway)))
  }

  clone({ card, dir }: RealCard): void {
    const copy = { state: 'on' as const, images: [], files: structuredClone(card.files) }
    this.#cards.push(new RealCard(this.#world, this.#dir, copy, dir))
  }

  replace({ card }: RealCard): void {
    card.state = 'dead'
    this.#world.flaws.add('a dead card')
    this.add(card.files.outbox.gateway)
  }

  async deliver(card: RealCard): Promise<void> {
    const { events, notes } = await card.deliver()
    const { topics } = this.#kafka
    await using sink = (await createKafkaClient(this.#kafka)).openSink()
    const send = async (
      topic: string,
      records: { key: Buffer; partition: number; value: Buffer }[],
    ) => records.length > 0 && (await sendWithRetries(sink, { topic, records }))
    const eventRecords = events.map(value => {
      const key = Buffer.from(decodeEvent(value).zone)
      return { key, partition: partitionOf(key, PARTITIONS), value }
    })
    await send(topics.readings, eventRecords)
    const noteRecords = notes.map(note => ({
      ...{ key: Buffer.from('gw'), partition: 0, value: Buffer.from(JSON.stringify(note)) },
    }))
    await send(topics.ledger, noteRecords)
  }

  /** Runs the history of a seed; returns how the verdict contradicts the truth, or null. */
  async run(seed: number): Promise<string | null> {
    const { topics } = await createKafkaClient(this.#kafka)
    const { readings, backfill, ledger } = this.#kafka.topics
    await topics.create([
      ...[readings, backfill].map(topic => ({ topic, partitions: PARTITIONS })),
      { topic: ledger, partitions: 1 },
    ])
    const random = createRandom(seed)
    const number = () => Math.floor(random() * 1000)
    const weighted = actions.flatMap(([weight, ...action]) => Array(weight).fill(action))
    this.add('gw')
    const length = 5 + (number() % STEPS_MAX)
    for (let step = 0; step < length; step++) {
      const [name, act] = weighted[number() % weighted.length] as [string, Action]
      const live = this.#live
      const at = number() % live.length
      this.steps.push(`${name} of card ${this.#cards.indexOf(live[at]!)}`)
      this.#world.nowMs = Date.now()
      await act(this, live[at]!, number(), number())
      this.#world.markLost()
    }
    return await this.#judge()
  }

  get #live() {
    return this.#cards.filter(({ card }) => card.state === 'on')
  }

  /** Waits until a dead card is silent, delivers what the live cards have, and asks the ledger. */
  async #judge(): Promise<string | null> {
    this.#world.markLost()
    await pause(SILENT_AFTER_MS + 500)
    for (const card of this.#live) await this.deliver(card)
    for (const card of this.#live) {
      this.#world.nowMs = Date.now()
      card.accept(1, 'a')
      card.beat()
      await this.deliver(card)
    }
    const { stream } = await createKafkaClient(this.#kafka)
    const config = { ...defaults, kafka: this.#kafka }
    const { signal } = new AbortController()
    const options = { config, signal, silentAfterMs: SILENT_AFTER_MS, onProblem() {} }
    const reading = createLedgerReading(options, stream)
    await reading.readToEnd()
    const report = reading.report()
    // A lost reading counts as lost for long, because the ledger's limit is shorter here.
    this.#world.nowMs = Date.now() + 60_000
    const found = findFalseProof(this.#world, report)
    if (found || this.#world.flaws.size > 0 || report.verdict === 'complete') return found
    return `everything is there, but the verdict is ${JSON.stringify(report)}`
  }

  [Symbol.dispose](): void {
    for (const card of this.#cards) card.stop()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
