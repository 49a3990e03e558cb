import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/config.ts'
import { decodeEvent } from '../config/events.ts'
import type { EventSource } from '../gateway/store/event-source.ts'
import type { StoredEvent } from '../gateway/store/group.ts'
import type { Inbox } from '../gateway/store/inbox.ts'
import { type Backoff, backoffMs } from './backoff.ts'
import { type Frame, type Sender, startForwarder } from './forwarder.ts'
import { unlessDiskIsFull } from './full-disk.ts'
import type { startMetrics } from './metrics.ts'
import { noteSources, startNoteForwarder } from './notes.ts'
import { carryReplays } from './replay/carry.ts'

const DEAD_LETTER_MAX_BYTES = 512 * 1024
const NOTES_EVERY_MS = 1000
const MANY_NOTES_EVERY_MS = 100

export type BridgeOptions = {
  config: Pick<Config, 'bridge' | 'kafka'>
  source: EventSource
  inbox: Inbox
  /** A sink takes one send at a time, so events, replays and notes have one each. */
  sinks: { events: Sender; replays: Sender; notes: Sender }
  frame: Frame
  partitionsOf(topic: string): Promise<number>
  metrics: ReturnType<typeof startMetrics>
  signal: AbortSignal
  /** What goes to Kafka now (null: delivering) and what keeps it from going. */
  onState(what: 'events' | 'replays' | 'notes', away: string | null): void
}

/** How the live events are doing, which go before replays. */
type Live = { isBehind: boolean }

/**
 * Carries events, replays and notes from the store to Kafka until asked to end. Kafka or the outbox
 * being away is a state, and only a reason to wait; what cannot go does not hold up the others.
 */
export async function runBridge(options: BridgeOptions): Promise<void> {
  const { config, source, inbox, sinks, frame, metrics, partitionsOf, signal } = options
  const live = { isBehind: false }
  const replays = carryReplays({
    ...{ source, inbox, frame, partitionsOf, signal },
    sink: sinks.replays,
    topic: config.kafka.topics.backfill,
    limits: config.bridge,
    backoff: backoffOf(config),
    isLiveBehind: () => live.isBehind,
    onReplayed: metrics.replayed,
    onState: away => options.onState('replays', away),
  })
  await Promise.all([carryEvents(options, live), replays, carryNotes(options)])
}

/** Without a Kafka to go to: only looks at what waits, so that others can be told. */
export async function watchOutbox({
  config,
  source,
  signal,
}: Pick<BridgeOptions, 'config' | 'source' | 'signal'>): Promise<void> {
  while (!signal.aborted) {
    source.look()
    await source.arrival(config.bridge.pollMs)
  }
}

/** Woken by the bell, with a slow poll behind it. */
async function carryEvents(options: BridgeOptions, live: Live): Promise<void> {
  const { config, source, metrics, signal, sinks } = options
  const backoff = backoffOf(config)
  const onUnavailable = (reason: string) => {
    metrics.retried()
    options.onState('events', reason)
  }
  const atLeast = async (name: string) => {
    const found = await options.partitionsOf(name)
    if (found >= (config.kafka.partitions ?? 0)) return found
    throw new Error(`kafka.partitions is ${config.kafka.partitions}, but there are only ${found}`)
  }
  const partitionsOf = untilAnswered(atLeast, backoff, signal, onUnavailable)
  const forwarder = startForwarder({
    source,
    signal,
    sink: sinks.events,
    frame: options.frame,
    limits: config.bridge,
    backoff,
    onUnavailable,
    onRejected: noteRejected(options),
    onDelivered: (_, batch) => {
      metrics.delivered(batch)
      options.onState('events', null)
    },
  })
  const topic = config.kafka.topics.readings
  /** The first contact fixes how many partitions the zones are spread over. */
  const begin = async () => {
    const found = await partitionsOf(topic)
    if (found !== null) source.begin(topic, config.kafka.partitions ?? found)
  }
  const step = async () => {
    const store = source.look()
    if (store && !source.isBoundFor(topic)) await begin()
    return store ? await forwarder.step() : 'nothing'
  }
  while (!signal.aborted) {
    const did = await unlessDiskIsFull(step, 'nothing', onUnavailable)
    live.isBehind = did === 'large batch'
    if (live.isBehind) continue
    await source.arrival(config.bridge.pollMs)
    await forwarder.pace()
  }
}

/** An event that Kafka refuses for good is named in the ledger before its range passes it. */
function noteRejected({ source, inbox, metrics }: BridgeOptions) {
  return (event: StoredEvent, reason: string): void => {
    metrics.rejected()
    inbox.addNotes(notesOfRejected(event, reason, source.store!.id))
  }
}

/** Looks every second, for notes are few and none is waited for; more often while there are any. */
async function carryNotes(options: BridgeOptions): Promise<void> {
  const { config, source, inbox, metrics, signal, sinks } = options
  const backoff = backoffOf(config)
  const onUnavailable = (reason: string) => options.onState('notes', reason)
  const forward = startNoteForwarder({
    topics: config.kafka.topics,
    partitionsOf: remembered(untilAnswered(options.partitionsOf, backoff, signal, onUnavailable)),
    sink: sinks.notes,
    signal,
    backoff,
    onUnavailable,
    onRejected: ({ sequence, kind }, reason, { store, origin }) => {
      metrics.rejected()
      const content = { store, origin, sequence, kind, reason }
      inbox.addNotes([{ kind: 'rejected note', content }])
    },
    onGone: (notes, { store, origin }) => {
      const content = { store, origin, notes, reason: 'no longer there' }
      inbox.addNotes([{ kind: 'jump', content }])
    },
  })
  while (!signal.aborted) {
    const store = source.store
    let restMs = NOTES_EVERY_MS
    for (const origin of store ? noteSources(store.id, source, inbox) : []) {
      const work = () => forward(origin, store!.gateway)
      const delivered = await unlessDiskIsFull(work, 0, onUnavailable)
      metrics.notesDelivered(delivered)
      if (delivered === 0) continue
      options.onState('notes', null)
      restMs = MANY_NOTES_EVERY_MS
    }
    await sleep(restMs, undefined, { signal }).catch(() => {})
  }
}

/** For the ledger, which event it was; for the dead letters, its bytes. */
function notesOfRejected({ sequence, zone, value }: StoredEvent, reason: string, id: Buffer) {
  const store = id.toString('hex')
  const { epoch, zoneSequence } = decodeEvent(value)
  const which = { store, epoch, sequence, zone, zoneSequence, reason }
  // One that Kafka would refuse as a dead letter too stays in the outbox alone.
  const payload = value.length > DEAD_LETTER_MAX_BYTES ? null : value.toString('base64')
  return [
    { kind: 'rejected', content: which },
    { kind: 'deadletter', content: { ...which, place: 'kafka', payload } },
  ]
}

function backoffOf({ bridge }: Pick<Config, 'bridge'>): Backoff {
  return { firstMs: bridge.backoffFirstMs, maxMs: bridge.backoffMaxMs }
}

/** Asks again until there is an answer; gives null only when asked to end. */
function untilAnswered(
  ask: (topic: string) => Promise<number>,
  backoff: Backoff,
  signal: AbortSignal,
  onUnavailable: (reason: string) => void,
) {
  return async (topic: string): Promise<number | null> => {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        return await ask(topic)
      } catch (error) {
        onUnavailable(`${topic}: ${(error as Error).message}`)
        await sleep(backoffMs(failures, backoff), undefined, { signal }).catch(() => {})
      }
    }
    return null
  }
}

function remembered(ask: (topic: string) => Promise<number | null>) {
  const known = new Map<string, number>()
  return async (topic: string): Promise<number | null> => {
    const count = known.get(topic) ?? (await ask(topic))
    if (count !== null) known.set(topic, count)
    return count
  }
}
