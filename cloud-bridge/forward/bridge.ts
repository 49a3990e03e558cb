import type { Config } from '../../config/config.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import { lagMs } from '../kafka/topic-retention.ts'
import { carryBehind } from './backfill.ts'
import type { Carrying } from './context.ts'
import { carryLive } from './live-delivery.ts'
import { carryNotes } from './note-loop.ts'
import { startNudge } from './poke.ts'
import { startTopicGuard, type TopicGuardOptions } from './topic-guard.ts'

/** Live events wait so long for the note that some others come later than they. */
const TOLD_WITHIN_MS = 5000

type BridgeOptions = Omit<Carrying, 'tellNotes'> & Pick<TopicGuardOptions, 'settingsOf' | 'onBlind'>

/**
 * Carries events, what goes behind them and notes from the store to Kafka until asked to end. Kafka
 * or the outbox being away is a state, and only a reason to wait; what cannot go does not hold up
 * the others.
 */
export async function runBridge(options: BridgeOptions): Promise<void> {
  const { source, openSink } = options
  const guard = startTopicGuard({
    ...options,
    lagMs: () => lagMs(source.backlog()?.oldestAgeMs ?? 0, Date.now()),
  })
  const nudge = startNudge()
  const carrying: Carrying = {
    ...options,
    openSink: () => guard.guarding(openSink()),
    tellNotes: () => nudge.look(TOLD_WITHIN_MS),
  }
  const live = { isBehind: false }
  await Promise.all([
    carryLive(carrying, live),
    carryBehind(carrying, live),
    carryNotes(carrying, nudge),
  ])
}

/** Without a Kafka to go to: only looks at what waits, so that others can be told. */
export async function watchOutbox({ config, source, signal }: WatchOptions): Promise<void> {
  while (!signal.aborted) {
    source.look()
    await source.arrival(config.bridge.pollMs)
  }
}

type WatchOptions = { config: Pick<Config, 'bridge'>; source: EventSource; signal: AbortSignal }
