import type { Config } from '../../config/config.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { timestampLagMs } from '../kafka/topic-retention.ts'
import { deliverBackfill } from './backfill.ts'
import type { DeliveryContext } from './context.ts'
import { deliverLive } from './live-delivery.ts'
import { deliverNotes } from './note-loop.ts'
import { createPoke } from './poke.ts'
import { createTopicGuard, type TopicGuardOptions } from './topic-guard.ts'

/** Live events wait so long for the note that some others come later than they. */
const TOLD_WITHIN_MS = 5000

type BridgeOptions = Omit<DeliveryContext, 'flushNotes'> &
  Pick<TopicGuardOptions, 'settingsOf' | 'onCheckNotAllowed'>

/**
 * Carries events, what goes behind them and notes from the store to Kafka until asked to end. Kafka
 * or the outbox being away is a state, and only a reason to wait; what cannot go does not hold up
 * the others.
 */
export async function runBridge(options: BridgeOptions): Promise<void> {
  const { source, openSink } = options
  const guard = createTopicGuard({
    ...options,
    lagMs: () => timestampLagMs(source.backlog()?.oldestAgeMs ?? 0, Date.now()),
  })
  const nudge = createPoke()
  const carrying: DeliveryContext = {
    ...options,
    openSink: () => guard.guarding(openSink()),
    flushNotes: () => nudge.look(TOLD_WITHIN_MS),
  }
  const live = { isBusy: false }
  await Promise.all([
    deliverLive(carrying, live),
    deliverBackfill(carrying, live),
    deliverNotes(carrying, nudge),
  ])
}

/** Without a Kafka to go to: only looks at what waits, so that others can be told. */
export async function watchOutbox({ config, source, signal }: WatchOptions): Promise<void> {
  while (!signal.aborted) {
    source.refresh()
    await source.waitForCommit(config.bridge.pollMs)
  }
}

type WatchOptions = { config: Pick<Config, 'bridge'>; source: EventSource; signal: AbortSignal }
