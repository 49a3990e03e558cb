import { createHash } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { AcceptedReading } from '../store/groups/lanes.ts'
import type { DeadLetter } from '../store/notes/note-log.ts'
import { decodeJson } from './decoders/json.ts'
import { compileRoutes } from './routes.ts'
import { createTimeExtraction } from './time/observed-at.ts'
import type { TimeReport } from './time/time-problems.ts'
import { extractTraceparent } from './traceparent.ts'

/**
 * One decoder for each payload format. A new format needs a file in decoders/, an entry here, a
 * choice of `format` in config/schema.ts, and a line in config/sluice.yaml.
 */
const decoders = { json: decodeJson }

/** A message as received; `clock` is the state of the gateway's clock at `receivedAt`. */
export type Message = { topic: string; payload: Buffer; receivedAt: number; clock: ClockState }

export type Fate = { reading: AcceptedReading } | { deadLetter: DeadLetter }

/**
 * Returns the function that decides the fate of an accepted message: a reading, or a dead letter
 * with its reason and the message's original bytes. The function never throws. `onTimeProblem` is
 * called for each reading whose own time is strange.
 */
export function createFateDecision(
  ingest: Config['ingest'],
  onTimeProblem: (report: TimeReport) => void = () => {},
): (message: Message) => Fate {
  const originOf = compileRoutes(ingest.routes)
  const timeExtractions = new Map(
    ingest.routes.map(route => [route, createTimeExtraction(route.time)]),
  )
  const zones = new Set<string>()
  const decide = ({ topic, payload, receivedAt, clock }: Message): Fate => {
    const deadLetter = (reason: string, place: string): Fate => ({
      deadLetter: { reason, place, topic, payload },
    })
    if (payload.length > ingest.payloadMaxBytes) {
      return deadLetter(`the payload is larger than ${ingest.payloadMaxBytes} bytes`, '')
    }
    const origin = originOf(topic)
    if ('reason' in origin) return deadLetter(origin.reason, 'topic')
    const { route, site, zone, device } = origin
    if (!zones.has(zone) && zones.size >= ingest.zonesMax) {
      return deadLetter(`more than ${ingest.zonesMax} zones`, 'topic')
    }
    const decoded = decoders[route.format](payload, ingest)
    if ('reason' in decoded) return deadLetter(decoded.reason, decoded.place)
    const timed = timeExtractions.get(route)!(decoded, { receivedAt, clock })
    if ('reason' in timed) return deadLetter(timed.reason, timed.place)
    zones.add(zone)
    if (timed.problem) onTimeProblem({ ...timed.problem, site, zone, device, topic })
    const source = { topic, format: route.format }
    const traced = extractTraceparent(timed.measurements)
    return {
      reading: {
        site,
        zone,
        device,
        lane: route.lane,
        observedAt: timed.observedAt,
        receivedAt,
        clock,
        measurements: traced.measurements,
        source,
        traceparent: traced.traceparent,
      },
    }
  }
  return message => {
    try {
      return decide(message)
    } catch (error) {
      // A fault of our program in one message must not refuse the other messages of its group.
      const reason = `the gateway failed to decode the message: ${(error as Error).message}`
      return { deadLetter: { reason, place: '', topic: message.topic, payload: message.payload } }
    }
  }
}

/**
 * The SHA-256 of a message's topic and payload. Shows whether two QoS 2 messages with the same
 * packet id are the same message.
 */
export function messageHash({ topic, payload }: Pick<Message, 'topic' | 'payload'>): Buffer {
  return createHash('sha256').update(topic).update('\u0000').update(payload).digest()
}
