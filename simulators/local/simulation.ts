import type { RecordingOptions } from '../../cloud-bridge/recordings/recording.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { createBuildingMessages } from '../building/messages.ts'
import { planBuilding } from '../building/plan.ts'
import { type ConnectedDevices, connectDevices, type DeviceCounters } from '../devices/devices.ts'
import type { Simulation } from '../pipeline/pipeline.ts'
import { type ConnectedReplay, connectReplay } from '../replay/replay.ts'

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
  /** How the columns of recordings are read (recording.ts). */
  columns: Pick<RecordingOptions, 'timeColumn' | 'textColumns' | 'decimal'>
  signal: AbortSignal
}

/** The run ends when no message was acknowledged for this time. */
const IDLE_MS = 15_000
/** After a stop signal, the time for messages that wait: shorter than the deadline of the stop. */
const STOP_DRAIN_MS = 8000

/**
 * Publishes the readings of a simulated building, or replays recordings, and waits for the
 * acknowledgements as long as any arrive. Prints the counts of the run as one JSON object on
 * standard output, and progress and everything that was not sent on standard error. Returns the
 * exit code: 0 when every message was acknowledged, 1 when some were not, or when the duration
 * ended a replay before the last row, and 130 when a signal did. Rejects after the counts when a
 * row of a recording has a fault.
 */
export async function runSimulation(options: SimulateOptions): Promise<number> {
  const { signal, durationMs } = options
  await using devices = await connect(options)
  const { host, port } = options
  const say = (line: string) => process.stderr.write(`${line}\n`)
  say(`publishing to ${host}:${port} as run ${devices.runId}`)
  const progress = setInterval(() => {
    const { published, acknowledged, connected } = devices.counters()
    const messages = `${published} messages published, ${acknowledged} acknowledged`
    say(`${messages}, ${connected} connections up`)
  }, 5000)
  const until =
    durationMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(durationMs)])
  const failure = await devices.run(until).then(
    () => null,
    (error: unknown) => ({ error }),
  )
  const unacknowledged = await devices.drain(IDLE_MS, abortedAfter(signal, STOP_DRAIN_MS))
  clearInterval(progress)
  const unsent = failure ? null : await (devices.findUnsent?.() ?? null)
  const counts = devices.counters()
  const from = unsent && `${unsent.file}:${unsent.line}`
  process.stdout.write(`${JSON.stringify({ run: devices.runId, ...counts, unsentFrom: from })}\n`)
  if (from) say(`the rows from ${from} on are not sent`)
  if (unacknowledged > 0) say(unacknowledgedText(counts))
  if (failure) throw failure.error
  if (unacknowledged > 0) return exitStatusOf('ERR_NEGATIVE')
  if (!unsent) return exitStatusOf('DONE')
  return exitStatusOf(signal.aborted ? 'ERR_INTERRUPTED' : 'ERR_NEGATIVE')
}

/** A signal that aborts some time after another signal. */
function abortedAfter(signal: AbortSignal, afterMs: number): AbortSignal {
  const later = new AbortController()
  const start = () => setTimeout(() => later.abort(), afterMs).unref()
  if (signal.aborted) start()
  else signal.addEventListener('abort', start, { once: true })
  return later.signal
}

function unacknowledgedText({ inFlight, waiting, lastError }: DeviceCounters): string {
  const sent = `${inFlight} messages were sent and not acknowledged`
  const reason = lastError === undefined ? '' : ` (last error: ${lastError})`
  return `${sent}, ${waiting} messages were not sent: the gateway does not answer any more${reason}`
}

type Devices = ConnectedDevices & Partial<ConnectedReplay>

function connect({ host, port, simulation, ...options }: SimulateOptions): Promise<Devices> {
  const { devices: count, seed, ...rest } = simulation
  const common = { host, port, ...rest }
  if (options.replay) {
    const { ratePerSecond, ...connecting } = common
    const { speed, site, columns, replay: files } = options
    return connectReplay({ ...connecting, ...columns, files, speed, site })
  }
  const devices = planBuilding({ seed, devices: count })
  const timing = { startMs: Date.now(), stepMs: 1000 / simulation.ratePerSecond }
  return connectDevices({
    ...common,
    devices,
    next: createBuildingMessages({ devices, seed, ...timing }),
  })
}
