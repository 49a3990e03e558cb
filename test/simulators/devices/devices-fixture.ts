import { expect } from 'vitest'
import {
  type ConnectedDevices,
  connectDevices,
  type DeviceAddress,
  type DevicesOptions,
} from '../../../simulators/devices/devices.ts'
import type { Arrival } from './devices-broker.ts'

export const devices: DeviceAddress[] = Array.from({ length: 7 }, (_, at) => ({
  site: 'hq',
  zone: `f${1 + Math.floor(at / 3)}-east`,
  name: `hq-co2-${at}`,
}))

/** Connects devices that send `count` messages, one device after the other, without a schedule. */
export function connect(
  count: number,
  port: number,
  more: Partial<DevicesOptions<DeviceAddress>> = {},
) {
  return connectDevices<DeviceAddress>({
    host: '127.0.0.1',
    port,
    devices,
    connections: 3,
    inFlightMax: 5,
    ratePerSecond: Number.POSITIVE_INFINITY,
    reconnectMinMs: 5,
    reconnectMaxMs: 15,
    next: n => (n < count ? { device: devices[n % 7]!, payload: { co2: 400 + n } } : null),
    ...more,
  })
}

export const forever = () => new AbortController().signal
export const numbersTo = (count: number) => Array.from({ length: count }, (_, n) => n)

export function acknowledgedBy(connected: ConnectedDevices): number[] {
  return numbersTo(connected.record.length).filter(connected.record.isAcknowledged)
}

/**
 * Within a connection, the message numbers of a device rise. Over all connections together, no
 * number is left out.
 */
export function expectOrderWithinDevices(arrivals: readonly Arrival[]) {
  const lastOnConnection = new Map<string, number>()
  const highest = new Map<string, number>()
  for (const { topic, connection, number } of arrivals) {
    const key = `${topic} ${connection}`
    expect(number).toBeGreaterThan(lastOnConnection.get(key) ?? -1)
    lastOnConnection.set(key, number)
    const seen = highest.get(topic)
    if (number > (seen ?? -1)) {
      if (seen !== undefined) expect(number).toBe(seen + devices.length)
      highest.set(topic, number)
    }
  }
}
