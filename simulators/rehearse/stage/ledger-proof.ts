import { setTimeout as sleep } from 'node:timers/promises'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { assessGateways, type GatewayAssessment } from '../../../cloud-bridge/ledger/assessment.ts'
import { createLedger } from '../../../cloud-bridge/ledger/ledger.ts'
import { createTopicReader } from '../../../cloud-bridge/ledger/topics/topic-reader.ts'
import type { RehearsalOutcome } from './outcome.ts'
import type { Stage } from './stage.ts'

const PROVEN_WITHIN_MS = 10_000
const POLL_MS = 500
const HOUR_MS = 3_600_000
/**
 * In this rehearsal the outbox forgets epochs, so that no heartbeat can confirm the last events of
 * those epochs.
 */
const FORGETTING_REHEARSAL = 'restore'

type Proof = { isProven: boolean; summary: string }

/**
 * Adds the ledger's conclusion to an outcome. The ledger reads nothing but Kafka. The outcome is
 * passed only if it was passed before and the ledger proves the run complete.
 */
export async function addLedgerProof(
  stage: Stage,
  outcome: RehearsalOutcome,
): Promise<RehearsalOutcome> {
  const { stream } = await createKafkaClient({ ...stage.config.kafka, brokers: stage.brokers })
  const ledger = createLedger()
  const reader = createTopicReader({ stream, ledger, topics: stage.config.kafka.topics })
  const assess = async () => {
    await reader.readToEnd()
    const options = { nowMs: Date.now(), silentAfterMs: HOUR_MS, inFlightMaxEvents: 0 }
    const mayForget = outcome.fault === FORGETTING_REHEARSAL
    return judgeLedger(assessGateways(ledger.gateways.values(), options), { mayForget })
  }
  let proof = await assess()
  // The heartbeat and the notes arrive about a second after the last event.
  const deadlineMs = performance.now() + PROVEN_WITHIN_MS
  while (!proof.isProven && performance.now() <= deadlineMs) {
    await sleep(POLL_MS)
    proof = await assess()
  }
  const remarks = [outcome.remarks, proof.summary].filter(Boolean).join('; ')
  return { ...outcome, passed: outcome.passed && proof.isProven, remarks }
}

/**
 * Judges the ledger's conclusions after the end of a run. Complete delivery is proven when, for
 * each gateway, the received events are exactly the events up to the sequence in the gateway's
 * newest heartbeat: a heartbeat from before a fault proves nothing about later events. With
 * `mayForget`, received events without such a heartbeat are accepted in epochs that the outbox has
 * forgotten. `summary` is a text for the table.
 */
export function judgeLedger(
  assessments: readonly GatewayAssessment[],
  { mayForget = false } = {},
): Proof {
  const sum = (field: 'missing' | 'awaited' | 'unproven' | 'forgotten' | 'strange') =>
    assessments.reduce((total, assessment) => total + assessment[field], 0)
  const forgotten = mayForget ? sum('forgotten') : 0
  const faults = [
    [sum('missing'), 'missing'],
    [sum('awaited'), 'not received'],
    [sum('unproven') - forgotten, 'after the newest heartbeat'],
    [sum('strange'), 'with a sequence of another event'],
  ] as const
  const texts = faults.flatMap(([count, fault]) => (count > 0 ? [`${count} ${fault}`] : []))
  const states = [...new Set(assessments.map(({ state }) => state))]
  const isComplete = states.join() === 'complete'
  const isProven = isComplete && texts.length === 0
  const state = isComplete && !isProven ? 'NOT proven' : states.join(', ') || 'knows no gateway'
  const more = forgotten > 0 ? [`${forgotten} of forgotten epochs`] : []
  return { isProven, summary: `ledger: ${[state, ...texts, ...more].join(', ')}` }
}
