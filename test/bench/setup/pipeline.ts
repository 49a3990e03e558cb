import { join } from 'node:path'
import type { Client } from '../arguments.ts'
import type { Bench } from '../benches/bench-case.ts'
import type { FillOptions } from '../load/filled-outbox.ts'
import type { LoadOptions, LoadResult } from '../load/load.ts'
import { askHelper } from './helper.ts'
import { makeSetup, pause, throwIfRestarted } from './setup.ts'

/** The generator's connections, and with them the devices. */
export const DEVICES = 50

const SETTLE_MS = 1000

/** How long ago the old events of a pipeline were received. */
const OLD_MS = 600_000

export type Pipeline = Awaited<ReturnType<typeof openPipeline>>

export type PipelineOptions = {
  /** Where, within the part's directory. */
  name?: string
  client?: Client
  /** How many wait already, from an outage; they go to a topic of their own. */
  oldEvents?: number
}

/** A gateway and a bridge with topics of their own; the bridge ends last. */
export async function openPipeline(
  { dir: parent, kafka, signal }: Bench,
  { name = '', client, oldEvents = 0 }: PipelineOptions = {},
) {
  const { brokers, pid: kafkaPid } = await kafka()
  const hasBackfill = oldEvents > 0
  const setup = await makeSetup(join(parent, name), brokers, {
    hasBackfill,
    ...(client && { client }),
  })
  const fill: FillOptions = { file: setup.outboxFile, events: oldEvents, ageMs: OLD_MS }
  if (oldEvents > 0) await askHelper('load/filled-outbox.ts', fill, signal)
  await using opening = new AsyncDisposableStack()
  const bridge = opening.use(await setup.startBridge())
  const gateway = opening.use(await setup.startGateway())
  const parts = opening.move()
  const load = (options: Omit<LoadOptions, 'port' | 'connections'>) =>
    askHelper<LoadResult>(
      'load/load.ts',
      { port: setup.mqttPort, connections: DEVICES, ...options } satisfies LoadOptions,
      signal,
    )
  return {
    ...setup,
    pids: { gateway: gateway.pid!, bridge: bridge.pid!, kafka: kafkaPid },
    load,
    /** One message from each device, so that every connection on the way is open. */
    async openTheWay(): Promise<void> {
      await load({ messages: DEVICES })
      await pause(SETTLE_MS, signal)
    },
    /** Throws when a process ended by itself: then what it used is counted wrongly. */
    throwIfRestarted(): void {
      for (const part of [gateway, bridge]) throwIfRestarted(part)
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
