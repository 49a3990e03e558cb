import { setTimeout as sleep } from 'node:timers/promises'
import { fetchState } from '../../../simulators/processes/sluice-process.ts'
import type { FillOptions } from '../load/filled-outbox.ts'
import { runBenchProcess } from '../setup/bench-process.ts'
import { createSetup } from '../setup/setup.ts'
import type { BenchCase } from './bench-case.ts'

const LOOK_EVERY_MS = 2

/**
 * The time after kill -9 from the restart of gateway or bridge until the process is ready, with a
 * large outbox.
 */
export const ready: BenchCase = {
  needsKafka: false,
  size: ({ ready }) => ready,
  async run(bench) {
    const { events, kills } = bench.sizes.ready
    const setup = await createSetup(bench.dir, [])
    const fill: FillOptions = { file: setup.outboxFile, events }
    await runBenchProcess('load/filled-outbox.ts', fill, bench.signal)
    const worst = { gateway: 0, bridge: 0 }
    await using bridge = await setup.startBridge()
    await using gateway = await setup.startGateway()
    const parts = { gateway, bridge }
    const http = { gateway: setup.gatewayHttp, bridge: setup.bridgeHttp }
    for (let kill = 0; kill < kills; kill++) {
      for (const name of ['gateway', 'bridge'] as const) {
        const part = parts[name]
        const { restarts } = part
        part.kill('SIGKILL')
        while (part.restarts === restarts) await sleep(LOOK_EVERY_MS)
        const sinceMs = performance.now()
        while (part.pid === null || (await fetchState(http[name]))?.pid !== part.pid) {
          await sleep(LOOK_EVERY_MS)
        }
        worst[name] = Math.max(worst[name], performance.now() - sinceMs)
      }
    }
    const figure = `ready after kill -9, ${events} waiting, slowest of ${kills}`
    const target = { below: 3000 }
    return (['gateway', 'bridge'] as const).map(of => ({
      ...{ figure, of, unit: 'ms', value: worst[of], target },
    }))
  },
}
