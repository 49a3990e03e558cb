import type { GatewayState } from '../../config/process/status.ts'
import type { Writer } from '../ingest/writer.ts'
import type { Broker } from '../mqtt/broker.ts'
import type { createMetrics } from './metrics.ts'

type Parts = { writer: Writer; broker: Broker; metrics: ReturnType<typeof createMetrics> }

/** Why the gateway cannot accept now; empty when it can. */
export function unreadyReasons({ writer, broker }: Pick<Parts, 'writer' | 'broker'>): string[] {
  const reasons: string[] = []
  if (writer.refusing) reasons.push(`the outbox refuses: ${writer.refusing}`)
  if (broker.isPaused) reasons.push('the writer is behind: reading from devices is paused')
  return reasons
}

/** What somebody should look at although everything is accepted. */
export function wearAlarms({ wear }: Pick<Writer, 'wear'>): string[] {
  const { beyondBudget } = wear()
  return beyondBudget === null ? [] : [beyondBudget]
}

/** What `sluice status` and the live screen show of a gateway. */
export function gatewayState({ writer, broker, metrics }: Parts): GatewayState {
  const { lastSequence, bytesSoFar, backlog, space } = writer.position
  return {
    part: 'gateway',
    pid: process.pid,
    store: writer.store,
    epoch: writer.epoch,
    lastSequence,
    bytesSoFar,
    backlog,
    space,
    wear: writer.wear(),
    connections: broker.connections,
    ...metrics.totals,
  }
}
