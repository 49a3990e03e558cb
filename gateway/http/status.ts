import { resolve } from 'node:path'
import { type GatewayState, OUTBOX_REFUSES } from '../../config/process/gateway-state.ts'
import { formatTwoSizes } from '../../config/process/text-format.ts'
import type { Clock } from '../clock.ts'
import type { Writer } from '../ingest/writer.ts'
import { silentText } from '../ingest/writer-channel.ts'
import type { BoundReports } from '../mqtt/bounds/bound-reports.ts'
import type { ConnectionFaults } from '../mqtt/bounds/connection-faults.ts'
import type { Broker } from '../mqtt/broker.ts'
import type { Metrics } from './metrics.ts'

export type GatewayParts = {
  writer: Writer
  broker: Broker
  metrics: Metrics
  bounds: BoundReports
  clock: Clock
  faults: ConnectionFaults
  /** The path of the outbox. */
  outboxFile: string
}

/** Returns the reasons why the gateway accepts no messages now; empty when it accepts messages. */
export function unreadyReasons({
  writer,
  broker,
}: Pick<GatewayParts, 'writer' | 'broker'>): string[] {
  const reasons: string[] = []
  const silentMs = writer.silentMs()
  if (silentMs !== null) reasons.push(silentText(silentMs))
  const refusal = writer.refusalReason
  if (refusal) reasons.push(`${OUTBOX_REFUSES}${untilText(writer.status.space)}: ${refusal}`)
  if (broker.isPaused) reasons.push('too many packets wait: reading from devices is paused')
  return reasons
}

/** How much space the disk must have before messages are accepted: ` until … are free`. */
function untilText({ acceptsAtFreeBytes, freeDiskBytes }: GatewayState['space']): string {
  if (acceptsAtFreeBytes === null) return ''
  const [needed, free] = formatTwoSizes(acceptsAtFreeBytes, freeDiskBytes)
  return ` until ${needed} are free on its disk (${free} now)`
}

/**
 * Returns an alarm while `outbox.writeBudgetBytesPerDay` is exceeded; messages are still accepted.
 */
export function wearAlarms({ wear }: Pick<Writer, 'wear'>): string[] {
  const { beyondBudget } = wear()
  return beyondBudget === null ? [] : [beyondBudget]
}

/** Returns an alarm while the writer thread does not answer, with the duration. */
export function writerAlarms(writer: Pick<Writer, 'silentMs'>): string[] {
  const silentMs = writer.silentMs()
  return silentMs === null ? [] : [`${silentText(silentMs)}: no message is acknowledged`]
}

/** The JSON of the page /state, which `sluice status` and the live screen show. */
export function gatewayState({ writer, broker, metrics, outboxFile }: GatewayParts): GatewayState {
  const { lastSequence, bytesSoFar, backlog, space } = writer.status
  return {
    part: 'gateway',
    pid: process.pid,
    gateway: writer.gateway,
    store: writer.store,
    outbox: resolve(outboxFile),
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
