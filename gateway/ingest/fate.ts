import { createHash } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import type { ClockState } from '../../config/event/sensor-reading.ts'
import type { AcceptedReading } from '../store/groups/lanes.ts'
import type { DeadLetter } from '../store/notes/note-log.ts'
import { decodeJson } from './decoders/json.ts'
import { extractObservedAt } from './observed-at.ts'
import { compileRoutes } from './routes.ts'
import { extractTraceparent } from './traceparent.ts'

/** One decoder a format; a new format is one more file and one more line here. */
const decoders = { json: decodeJson }

/** A message as it came: its topic, its payload and the gateway's clock at that moment. */
export type Message = { topic: string; payload: Buffer; receivedAt: number; clock: ClockState }

export type Fate = { reading: AcceptedReading } | { deadLetter: DeadLetter }

/**
 * Decides what becomes of an accepted message: a reading, or a dead letter with its reason and its
 * bytes. There is no third outcome, and it never throws.
 */
export function createFateDecision(ingest: Config['ingest']): (message: Message) => Fate {
  const routeOf = compileRoutes(ingest.routes)
  const zones = new Set<string>()
  return ({ topic, payload, receivedAt, clock }) => {
    const bury = (reason: string, place: string): Fate => ({
      deadLetter: { reason, place, topic, payload },
    })
    if (payload.length > ingest.payloadMaxBytes) {
      return bury(`the payload is larger than ${ingest.payloadMaxBytes} bytes`, '')
    }
    const found = routeOf(topic)
    if ('reason' in found) return bury(found.reason, 'topic')
    const { route, site, zone, device } = found
    if (!zones.has(zone) && zones.size >= ingest.zonesMax) {
      return bury(`more than ${ingest.zonesMax} zones`, 'topic')
    }
    const decoded = decoders[route.format](payload, ingest)
    if ('reason' in decoded) return bury(decoded.reason, decoded.place)
    const timed = extractObservedAt(decoded, route.time)
    if ('reason' in timed) return bury(timed.reason, timed.place)
    zones.add(zone)
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
}

/** Tells whether two QoS 2 messages with one packet id are the same message. */
export function messageHash({ topic, payload }: Pick<Message, 'topic' | 'payload'>): Buffer {
  return createHash('sha256').update(topic).update('\u0000').update(payload).digest()
}
