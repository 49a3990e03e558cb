import type { Device } from './plan.ts'
import { mulberry32 } from './random.ts'
import { createBuilding, type Measurements } from './readings.ts'

export interface BuildingMessagesOptions {
  readonly devices: readonly Device[]
  readonly seed: number
  /** The simulated time of message 0, ms since 1970. */
  readonly startMs: number
  /** Simulated time from one message to the next: 1000 / ratePerSecond runs in real time. */
  readonly stepMs: number
}

/**
 * The building as a numbered sequence of messages: each device reports in turn, in an order
 * shuffled once, so that neighbouring messages come from different zones. Message n is the same
 * in every run with the same arguments; n must not go backwards.
 */
export function createBuildingMessages(
  of: BuildingMessagesOptions,
): (n: number) => { device: Device; payload: Measurements } {
  const building = createBuilding()
  const order = [...of.devices]
  const draw = mulberry32(of.seed)
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1))
    const held = order[last]!
    order[last] = order[other]!
    order[other] = held
  }
  return n => {
    const device = order[n % order.length]!
    const timeMs = Math.floor(of.startMs + n * of.stepMs)
    return { device, payload: building.readingAt(device, timeMs) }
  }
}
