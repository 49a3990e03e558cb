import type { Bench } from '../benches/bench-case.ts'
import { pause, type Setup, throwIfRestarted } from '../setup/setup.ts'
import { useOf } from './meter.ts'
import { openCounter, sampleUntil } from './samples.ts'

/** What was done in all turns. */
export type Work = { events: number; seconds: number; cpuSeconds: number }

/**
 * A bridge that works in turns only and stands still (SIGSTOP) between them. Whoever is compared
 * takes turns, because what else a machine does changes from one second to the next. It has had
 * its first `warmUpEvents` already, because a cold one compiles its code.
 */
export async function startInTurns(bench: Bench, setup: Setup, warmUpEvents: number) {
  const { signal } = bench
  await using starting = new AsyncDisposableStack()
  const counter = starting.use(await openCounter((await bench.kafka()).brokers))
  const bridge = starting.use(await setup.startBridge())
  await sampleUntil(warmUpEvents, bridge.pid!, setup, signal)
  bridge.kill('SIGSTOP')
  const cpuNow = () => useOf(bridge.pid!).cpuSeconds ?? Number.NaN
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
      if (events === work.events) throw new Error(`the bridge stalled at ${first + events}`)
      work.events = events
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

/** Events a second. */
export const rateOf = ({ events, seconds }: Work) => events / seconds

/** CPU seconds per million events; null where it is not known. */
export function cpuOf({ events, cpuSeconds }: Work): number | null {
  return Number.isNaN(cpuSeconds) ? null : (cpuSeconds / events) * 1e6
}
