import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { createBuildingMessages } from '../building/messages.ts'
import { planBuilding } from '../building/plan.ts'
import { connectDevices } from '../devices/devices.ts'
import type { Simulation } from '../pipeline/pipeline.ts'
import { connectReplay } from '../replay/replay.ts'

export type SimulateOptions = {
  host: string
  port: number
  simulation: Simulation
  /** How long to publish. Without a duration the run ends with the signal. */
  durationMs?: number
  /** CSV recordings to replay instead of a building. */
  replay?: string[]
  /** How many recorded seconds are published in one second. */
  speed: number
  /** The site of the replayed devices. */
  site: string
  signal: AbortSignal
}

const DRAIN_MS = 15_000

/**
 * Publishes the readings of a simulated building, or replays recordings. Prints the counts of the
 * run as one JSON object on standard output, and progress on standard error every 5 s. Returns the
 * exit code: 0 when every message was acknowledged.
 */
export async function runSimulation(options: SimulateOptions): Promise<number> {
  const { signal, durationMs } = options
  await using devices = await connect(options)
  const { host, port } = options
  process.stderr.write(`publishing to ${host}:${port} as run ${devices.runId}\n`)
  const progress = setInterval(() => {
    const { published, acknowledged, connected } = devices.counters()
    const messages = `${published} messages published, ${acknowledged} acknowledged`
    process.stderr.write(`${messages}, ${connected} connections up\n`)
  }, 5000)
  await devices.run(
    durationMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(durationMs)]),
  )
  const unacknowledged = await devices.drain(DRAIN_MS)
  clearInterval(progress)
  process.stdout.write(`${JSON.stringify({ run: devices.runId, ...devices.counters() })}\n`)
  return exitStatusOf(unacknowledged === 0 ? 'DONE' : 'ERR_NEGATIVE')
}

function connect({ host, port, simulation, ...options }: SimulateOptions) {
  const { devices: count, seed, ...rest } = simulation
  const common = { host, port, ...rest }
  if (options.replay) {
    const { ratePerSecond, ...connecting } = common
    const { speed, site, replay: files } = options
    return connectReplay({ ...connecting, files, speed, site })
  }
  const devices = planBuilding({ seed, devices: count })
  const timing = { startMs: Date.now(), stepMs: 1000 / simulation.ratePerSecond }
  return connectDevices({
    ...common,
    devices,
    next: createBuildingMessages({ devices, seed, ...timing }),
  })
}
