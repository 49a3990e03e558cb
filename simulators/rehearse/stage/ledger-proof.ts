import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { assessGateways, type GatewayAssessment } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../cloud-bridge/ledger/topic-reader.ts'
import type { RehearsalOutcome } from './outcome.ts'
import type { Stage } from './stage.ts'

const PROVEN_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 500
const HOUR_MS = 3_600_000
/** Here the outbox is made to forget runs, and nobody is left to claim how far they had come. */
const FORGETTING = 'restore'

type Proof = { isProven: boolean; said: string }

/** Asks the ledger as well, which knows only what stands in Kafka: it must come to the same. */
export async function addLedgerProof(
  stage: Stage,
  outcome: RehearsalOutcome,
): Promise<RehearsalOutcome> {
  const { stream } = await createKafkaClient({ ...stage.config.kafka, brokers: stage.brokers })
  const ledger = createLedger()
  const feed = createTopicReader({ stream, ledger, topics: stage.config.kafka.topics })
  const look = async () => {
    await feed.readToEnd()
    const options = { nowMs: Date.now(), silentAfterMs: HOUR_MS, inFlightMaxEvents: 0 }
    const mayForget = outcome.fault === FORGETTING
    return judgeLedger(assessGateways(ledger.gateways.values(), options), { mayForget })
  }
  let found = await look()
  // Heartbeat and notes come about a second after the last event.
  for (const end = performance.now() + PROVEN_WITHIN_MS; !found.isProven; found = await look()) {
    if (performance.now() > end) break
    await sleep(LOOK_EVERY_MS)
  }
  const passed = outcome.passed && found.isProven
  return { ...outcome, passed, remarks: [outcome.remarks, found.said].filter(Boolean).join('; ') }
}

/**
 * Whether all that gateways wrote is proven when nothing more comes: of each, everything that the
 * newest heartbeat claims has come, and it claims everything that has come. A heartbeat of before a
 * fault proves nothing of what was behind it. `said` is what the ledger says, for the table.
 * `mayForget` lets pass what came of runs that the outbox has forgotten.
 */
export function judgeLedger(
  found: readonly GatewayAssessment[],
  { mayForget = false } = {},
): Proof {
  const sum = (what: 'missing' | 'awaited' | 'unproven' | 'forgotten' | 'strange') =>
    found.reduce((total, one) => total + one[what], 0)
  const forgotten = mayForget ? sum('forgotten') : 0
  const faults = [
    [sum('missing'), 'missing'],
    [sum('awaited'), 'did not come'],
    [sum('unproven') - forgotten, 'behind the newest heartbeat'],
    [sum('strange'), 'with a number that another one has'],
  ] as const
  const named = faults.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []))
  const states = [...new Set(found.map(({ state }) => state))]
  const isComplete = states.join() === 'complete'
  const isProven = isComplete && named.length === 0
  const state = isComplete && !isProven ? 'NOT proven' : states.join(', ') || 'knows nobody'
  const more = forgotten > 0 ? [`${forgotten} of forgotten runs`] : []
  return { isProven, said: `ledger: ${[state, ...named, ...more].join(', ')}` }
}
