import type { Device } from './plan.ts'
import { mulberry32 } from './random.ts'
import { createBuilding, type Measurements } from './readings.ts'

export type BuildingMessagesOptions = {
  devices: readonly Device[]
  seed: number
  /** The simulated time of message 0, in ms since 1970. */
  startMs: number
  /** Simulated ms from one message to the next; 1000 / ratePerSecond for real time. */
  stepMs: number
}

/**
 * Creates the numbered sequence of a building's messages. The devices report in turn, in an order
 * shuffled once, so that neighbouring messages are from different zones. Message n is the same in
 * every run with the same arguments. n must not decrease from call to call.
 */
export function createBuildingMessages(
  options: BuildingMessagesOptions,
): (n: number) => { device: Device; payload: Measurements } {
  const building = createBuilding()
  const order = [...options.devices]
  const draw = mulberry32(options.seed)
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(draw() * (last + 1))
    ;[order[last], order[other]] = [order[other]!, order[last]!]
  }
  return n => {
    const device = order[n % order.length]!
    const timeMs = Math.floor(options.startMs + n * options.stepMs)
    return { device, payload: building.readingAt(device, timeMs) }
  }
}
