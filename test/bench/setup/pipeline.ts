import { join } from 'node:path'
import type { Client } from '../arguments.ts'
import type { Bench } from '../benches/bench-case.ts'
import type { FillOptions } from '../load/filled-outbox.ts'
import type { LoadOptions, LoadResult } from '../load/load.ts'
import { runBenchProcess } from './bench-process.ts'
import { createSetup, pause, throwIfRestarted } from './setup.ts'

/** The number of the generator's connections; each connection is one device. */
export const DEVICES = 50

const SETTLE_MS = 1000

/** How old the old events of a pipeline are. */
const OLD_MS = 600_000

export type Pipeline = Awaited<ReturnType<typeof openPipeline>>

export type PipelineOptions = {
  /** A subdirectory of the bench's directory. */
  name?: string
  client?: Client
  /**
   * The number of events that are stored as if they waited since an outage; they go to the backfill
   * topic.
   */
  oldEvents?: number
}

/** Starts a gateway and a bridge with topics of their own. At the end the bridge ends last. */
export async function openPipeline(
  { dir: parent, kafka, signal }: Bench,
  { name = '', client, oldEvents = 0 }: PipelineOptions = {},
) {
  const { brokers, pid: kafkaPid } = await kafka()
  const hasBackfill = oldEvents > 0
  const setup = await createSetup(join(parent, name), brokers, {
    hasBackfill,
    ...(client && { client }),
  })
  const fill: FillOptions = { file: setup.outboxFile, events: oldEvents, ageMs: OLD_MS }
  if (oldEvents > 0) await runBenchProcess('load/filled-outbox.ts', fill, signal)
  await using opening = new AsyncDisposableStack()
  const bridge = opening.use(await setup.startBridge())
  const gateway = opening.use(await setup.startGateway())
  const parts = opening.move()
  const load = (options: Omit<LoadOptions, 'port' | 'connections'>) =>
    runBenchProcess<LoadResult>(
      'load/load.ts',
      { port: setup.mqttPort, connections: DEVICES, ...options } satisfies LoadOptions,
      signal,
    )
  return {
    ...setup,
    pids: { gateway: gateway.pid!, bridge: bridge.pid!, kafka: kafkaPid },
    load,
    /** Sends one message from each device, so that every connection is open. */
    async openConnections(): Promise<void> {
      await load({ messages: DEVICES })
      await pause(SETTLE_MS, signal)
    },
    /** Throws when a process ended by itself, because its resource use is then counted wrongly. */
    throwIfRestarted(): void {
      for (const part of [gateway, bridge]) throwIfRestarted(part)
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
