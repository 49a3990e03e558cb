import type { Config } from '../../config/config.ts'
import type { EventSource } from '../../gateway/store/source/event-source.ts'
import type { KafkaClient } from '../kafka/client.ts'
import { clockLagMs } from '../kafka/topic-retention.ts'
import type { KafkaWatch } from '../watch/kafka-watch.ts'
import { deliverBackfill } from './backfill-delivery.ts'
import type { DeliveryContext } from './delivery-context.ts'
import { deliverLive } from './live-delivery.ts'
import { deliverNotes } from './note-delivery.ts'
import { createPoke } from './poke.ts'
import { createTopicGuard, type TopicGuardOptions } from './topic-guard.ts'

/**
 * Live events wait at most this long until Kafka has stored the note that says which older events
 * are deferred.
 */
const NOTES_WITHIN_MS = 5000

type BridgeOptions = Omit<DeliveryContext, 'flushNotes' | 'openSink'> &
  Pick<TopicGuardOptions, 'settingsOf' | 'onCheckNotAllowed'> &
  Pick<KafkaClient, 'openSink'> & { kafkaWatch: KafkaWatch }

/**
 * Delivers live events, the backfill and the notes to Kafka until `signal` aborts. While Kafka or
 * the outbox is unavailable, the bridge waits; events that cannot be delivered do not delay others.
 */
export async function runBridge(options: BridgeOptions): Promise<void> {
  const { openSink, kafkaWatch } = options
  const topicGuard = createTopicGuard({
    ...options,
    lagMs: () => clockLagMs(Date.now(), kafkaWatch.clock.lagMs()),
    // The acknowledgement of the ledger's notes compares the clocks, so notes do not wait.
    isKafkaTimeKnown: topic =>
      kafkaWatch.clock.isAnswered || topic === options.config.kafka.topics.ledger,
  })
  const poke = createPoke()
  const context: DeliveryContext = {
    ...options,
    openSink: () => topicGuard.guard(openSink(kafkaWatch.stored)),
    flushNotes: () => poke.wakeAndWait(NOTES_WITHIN_MS),
  }
  const live = { isBusy: false }
  await Promise.all([
    deliverLive(context, live),
    deliverBackfill(context, live),
    deliverNotes(context, poke),
    kafkaWatch.run(options.signal),
  ])
}

/** Polls the outbox while no Kafka is configured, so that the bridge can report the backlog. */
export async function watchOutbox({ config, source, signal }: WatchOptions): Promise<void> {
  while (!signal.aborted) {
    source.refresh()
    await source.waitForCommit(config.bridge.pollMs)
  }
}

type WatchOptions = { config: Pick<Config, 'bridge'>; source: EventSource; signal: AbortSignal }
