import { setTimeout as sleep } from 'node:timers/promises'
import { conclude } from '../../cloud-bridge/ledger/conclude.ts'
import { startFeed } from '../../cloud-bridge/ledger/feed.ts'
import { startLedger } from '../../cloud-bridge/ledger/ledger.ts'
import type { Outcome } from './outcome.ts'
import type { Stage } from './stage.ts'

const PROVEN_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 500
const HOUR_MS = 3_600_000

/** Asks the ledger as well, which knows only what stands in Kafka: it must come to the same. */
export async function withProof(stage: Stage, outcome: Outcome): Promise<Outcome> {
  const kafka = { ...stage.config.kafka, brokers: stage.brokers }
  const ledger = startLedger()
  const feed = startFeed({ kafka, ledger, topics: kafka.topics })
  const look = async () => {
    await feed.readOn()
    const options = { nowMs: Date.now(), silentAfterMs: HOUR_MS, inFlightMaxEvents: 0 }
    return conclude(ledger.gateways.values(), options)
  }
  let found = await look()
  const isProven = () =>
    found.length > 0 && found.every(({ state, strange }) => state === 'complete' && strange === 0)
  // Heartbeat and notes come about a second after the last event.
  for (const end = performance.now() + PROVEN_WITHIN_MS; !isProven(); found = await look()) {
    if (performance.now() > end) break
    await sleep(LOOK_EVERY_MS)
  }
  const missing = found.reduce((sum, one) => sum + one.missing, 0)
  const states = [...new Set(found.map(({ state }) => state))].join(', ')
  const said = missing > 0 ? `ledger: ${missing} missing` : `ledger: ${states || 'knows nobody'}`
  const passed = outcome.passed && isProven() && missing === 0
  return { ...outcome, passed, remarks: [outcome.remarks, said].filter(Boolean).join('; ') }
}
