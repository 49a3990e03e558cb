import type { BridgeState } from '../../cloud-bridge/forward/bridge-status.ts'
import { waitingText } from '../../cloud-bridge/retry/flow-status.ts'
import { sharesText } from '../../cloud-bridge/zones/hot-zones.ts'
import type { Config } from '../../config/config.ts'
import type { GatewayState } from '../../config/process/gateway-state.ts'
import { deliveryPlanLines } from './delivery-lines.ts'

/**
 * The states that the live screen shows, fetched at one moment; null for a process that does not
 * answer.
 */
export type ScreenState = { atMs: number; gateway: GatewayState | null; bridge: BridgeState | null }

/** The addresses of gateway and bridge, which stand beside their headings. */
export type ScreenHeadings = { gateway: string; bridge: string }

/**
 * The live screen as lines, under a heading for gateway and bridge: acknowledged readings a second,
 * undelivered events in the outbox, events of each partition, and the moment up to which everything
 * is in Kafka. A rate is the difference between `now` and `before`; without `before` the screen
 * shows `-` in its place.
 */
export function drawScreen(
  now: ScreenState,
  before: ScreenState | null,
  headings: ScreenHeadings,
): string[] {
  // The bridge counts its last deliveries too; the gateway counts only what the inbox has saved.
  const backlog = now.bridge?.backlog ?? now.gateway?.backlog
  return [
    headingLine('GATEWAY', headings.gateway),
    ...gatewayLines(now, before),
    ...waitingLine(backlog),
    ...spaceLines(now.gateway?.space),
    ...wearLines(now.gateway?.wear),
    headingLine('BRIDGE', headings.bridge),
    ...bridgeLines(now, before),
  ]
}

const headingLine = (name: string, address: string) => `${name.padEnd(16)}${address}`

/** The headings of the live screen of a configuration. */
export function screenHeadings({ gateway, bridge, kafka }: Config): ScreenHeadings {
  const address = ({ host, port }: { host: string; port: number }) => `${host}:${port}`
  const target = kafka.brokers.length > 0 ? kafka.brokers.join(', ') : 'no Kafka configured'
  return {
    gateway: `MQTT ${address(gateway.mqtt)}, pages http://${address(gateway.http)}`,
    bridge: `to ${target}, pages http://${address(bridge.http)}`,
  }
}

function gatewayLines({ gateway, atMs }: ScreenState, before: ScreenState | null): string[] {
  if (!gateway) return ['gateway         does not answer']
  const { acknowledged, buried: deadLetters, refused, connections } = gateway
  const rate = perSecond(acknowledged, before?.gateway?.acknowledged, atMs, before?.atMs)
  const more = [
    `${count(acknowledged)} in all`,
    `${count(deadLetters)} dead letters`,
    `${count(refused)} refused`,
    `${count(connections)} connections`,
  ]
  return [`gateway         ${gateway.gateway}`, `acknowledged    ${rate}/s   ${more.join(', ')}`]
}

function waitingLine(backlog: GatewayState['backlog'] | undefined): string[] {
  if (!backlog) return []
  const { events, bytes, oldestAgeMs } = backlog
  const parts = [
    `${count(events)} events`,
    formatBytes(bytes),
    `oldest ${formatDuration(oldestAgeMs)}`,
  ]
  return [`in the outbox   ${parts.join(', ')}`]
}

function spaceLines(space: GatewayState['space'] | undefined): string[] {
  if (!space) return []
  const { usedBytes, keptBytes, freeDiskBytes, fullInMs, refuses } = space
  const parts = [
    `${formatBytes(usedBytes)} used`,
    `${formatBytes(keptBytes)} of it delivered and kept`,
    `${formatBytes(freeDiskBytes)} free`,
  ]
  if (fullInMs !== null) parts.push(`full in ${formatDuration(fullInMs)} at this rate`)
  const lines = [`on disk         ${parts.join(', ')}`]
  if (refuses) lines.push(`refuses         ${refuses}`)
  return lines
}

function wearLines(wear: GatewayState['wear'] | undefined): string[] {
  if (!wear || wear.perDayBytes === null) return []
  const { perDayBytes, perReadingBytes, commitWindowMs, beyondBudget } = wear
  const parts = [`${formatBytes(perDayBytes)} a day to disk`]
  if (perReadingBytes !== null) parts.push(`${count(Math.round(perReadingBytes))} bytes a reading`)
  parts.push(`a commit waits ${count(Math.round(commitWindowMs))} ms`)
  const lines = [`wear            ${parts.join(', ')}`]
  if (beyondBudget) lines.push(`over budget     ${beyondBudget}`)
  return lines
}

function bridgeLines({ bridge, atMs }: ScreenState, before: ScreenState | null): string[] {
  if (!bridge) return ['bridge          does not answer']
  const { delivered, perPartition, completeUpTo, kafka } = bridge
  const rate = perSecond(delivered, before?.bridge?.delivered, atMs, before?.atMs)
  const partitions = Object.entries(perPartition).map(
    ([name, events]) => `p${name} ${count(events)}`,
  )
  const lines = [
    `delivered       ${rate}/s   ${count(delivered)} in all   ${partitions.join('  ')}`,
    `complete up to  ${completeUpTo === null ? 'unknown' : new Date(completeUpTo).toISOString()}`,
  ]
  const [hottest, ...warm] = bridge.hotZones
  if (hottest) {
    const more = warm.length > 0 ? `, and ${count(warm.length)} more` : ''
    lines.push(
      `hot zone        ${hottest.zone}: ${sharesText(hottest)}${more}; /health says what to do`,
    )
  }
  if (kafka.events) lines.push(`waiting for     ${kafka.events}`)
  lines.push(...deliveryPlanLines(bridge))
  for (const [flow, waitReason] of Object.entries(kafka)) {
    const isShown = flow === 'events' || flow.startsWith('partition')
    if (waitReason && !isShown) lines.push(`${waitingText(flow).padEnd(15)} ${waitReason}`)
  }
  return lines
}

function perSecond(now: number, before: number | undefined, atMs: number, beforeMs = 0): string {
  if (before === undefined || now < before) return '-'
  return count(Math.round(((now - before) * 1000) / (atMs - beforeMs)))
}

const count = (value: number) => value.toLocaleString('en')

/** A number of bytes for people, in decimal units: 56789 is `56.8 KB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return `${(bytes / 1000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`
}

/** A time span for people: seconds below a minute, then minutes, hours, and days from 48 h on. */
export function formatDuration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const [minutes, hours] = [Math.floor(ms / 60_000), Math.floor(ms / 3_600_000)]
  if (hours < 1) return `${minutes} min`
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`
}
