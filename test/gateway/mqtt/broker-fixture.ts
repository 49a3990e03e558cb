import { type Config, defaults } from '../../../config/config.ts'
import {
  type BoundReports,
  createBoundReports,
} from '../../../gateway/mqtt/bounds/bound-reports.ts'
import {
  type ConnectionFaults,
  createConnectionFaults,
} from '../../../gateway/mqtt/bounds/connection-faults.ts'
import { startBroker } from '../../../gateway/mqtt/broker.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import type { AcceptRig } from '../../contracts/accept.ts'
import { createMemoryAccept, type MemoryAccept } from '../../contracts/memory-accept.ts'
import { openWriterAccept } from '../../contracts/writer-accept.ts'
import { readOutbox } from '../store/fixture.ts'

/** A broker on a free loopback port; records the refusals and counts the acknowledgements. */
export type TestBroker<T extends Pick<AcceptRig, 'accept'>> = AsyncDisposable & {
  readonly broker: Awaited<ReturnType<typeof startBroker>>
  readonly port: number
  readonly rig: T
  /** Why messages were refused, in order. */
  readonly refused: string[]
  /** Errors that the broker reported and that ended nothing. */
  readonly errors: string[]
  /** What the log would show of clients' faults, as JSON. */
  readonly logged: string[]
  readonly faults: ConnectionFaults
  readonly boundReports: BoundReports
  acknowledged: number
}

type Given<T> = { rig: T } & Partial<Config['gateway']['mqtt']>

/** Starts a broker that hands over to the given `accept`. The test must dispose of the broker. */
export async function startBrokerOn<T extends Pick<AcceptRig, 'accept'>>(
  given: Given<T>,
): Promise<TestBroker<T>> {
  const { rig, port = await findFreePort(), ...limits } = given
  const refused: string[] = []
  const broken: string[] = []
  const errors: string[] = []
  const logged: string[] = []
  const boundReports = createBoundReports(() => {})
  const { faultDelayMaxMs = 0 } = limits
  const faults = createConnectionFaults(faultDelayMaxMs, fields =>
    logged.push(JSON.stringify(fields)),
  )
  const broker = await startBroker({
    accept: rig.accept,
    boundReports,
    limits: { ...defaults.gateway.mqtt, ...limits, port },
    onRefused: (_, reason) => refused.push(reason),
    onAcknowledged: () => {
      started.acknowledged++
    },
    onConnectionBroken: (_, reason) => broken.push(reason),
    faults,
    onError: error => errors.push(error.message),
  })
  const started = {
    ...{
      broker,
      port,
      rig,
      refused,
      broken,
      errors,
      logged,
      faults,
      boundReports,
      acknowledged: 0,
    },
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
  return started
}

/** Starts a broker whose `accept` stores messages in memory. */
export function startTestBroker(
  limits: Partial<Config['gateway']['mqtt']> = {},
): Promise<TestBroker<MemoryAccept>> {
  return startBrokerOn({ ...limits, rig: createMemoryAccept() })
}

/** Starts a broker before the real queue and writer thread, with a new outbox on disk. */
export async function startStoringBroker(limits: Partial<Config['gateway']['mqtt']> = {}) {
  const rig = await openWriterAccept()
  const setup = await startBrokerOn({ ...limits, rig })
  return {
    ...setup,
    /** How many messages are on disk, as events or dead letters. */
    messageCount() {
      const { events, notes } = readOutbox(rig.outboxFile)
      return events.length + notes.filter(({ kind }) => kind === 'deadletter').length
    },
    async [Symbol.asyncDispose]() {
      await setup[Symbol.asyncDispose]()
      await rig[Symbol.asyncDispose]()
    },
  }
}

/** The topic of a zone's only device, and a payload with a number. */
export const topicOf = (zone = 'z') => `building/hq/zone/${zone}/sensor/d`
export const payloadOf = (n: number) => JSON.stringify({ n })
