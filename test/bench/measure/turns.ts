import type { Bench } from '../benches/bench-case.ts'
import { pause, type Setup, throwIfRestarted } from '../setup/setup.ts'
import { readResourceUse } from './meter.ts'
import { openCounter, sampleUntil } from './samples.ts'

/** The work of all turns. */
export type Work = { events: number; seconds: number; cpuSeconds: number }

/**
 * Starts a bridge that works in turns and is stopped (SIGSTOP) between its turns. Processes that
 * are compared take turns, because the load of a shared machine changes from one second to the
 * next. Before its first turn the bridge has delivered `warmUpEvents` events, because a process
 * that has just started compiles code.
 */
export async function startBridgeInTurns(bench: Bench, setup: Setup, warmUpEvents: number) {
  const { signal } = bench
  await using starting = new AsyncDisposableStack()
  const counter = starting.use(await openCounter((await bench.kafka()).brokers))
  const bridge = starting.use(await setup.startBridge())
  await sampleUntil(warmUpEvents, bridge.pid!, setup, signal)
  bridge.kill('SIGSTOP')
  const cpuNow = () => readResourceUse(bridge.pid!).cpuSeconds ?? Number.NaN
  const [first, cpuBefore] = [await counter.count(setup.topic), cpuNow()]
  const work: Work = { events: 0, seconds: 0, cpuSeconds: 0 }
  const parts = starting.move()
  return {
    work,
    async turn(ms: number): Promise<void> {
      const startedMs = performance.now()
      bridge.kill('SIGCONT')
      await pause(ms, signal)
      bridge.kill('SIGSTOP')
      work.seconds += (performance.now() - startedMs) / 1000
      work.cpuSeconds = cpuNow() - cpuBefore
      const events = (await counter.count(setup.topic)) - first
      throwIfRestarted(bridge)
      if (events === work.events)
        throw new Error(`the bridge has stalled at ${first + events} delivered events`)
      work.events = events
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** Events per second. */
export const rateOf = ({ events, seconds }: Work) => events / seconds

/** CPU seconds per million events; null when not measured. */
export function cpuOf({ events, cpuSeconds }: Work): number | null {
  return Number.isNaN(cpuSeconds) ? null : (cpuSeconds / events) * 1e6
}
