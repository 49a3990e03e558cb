import { setTimeout as sleep } from 'node:timers/promises'
import { decodeNote } from '../../ledger/notes.ts'
import type { EventStream, ReadRecord } from '../../ports/event-stream.ts'
import type { ClockOffsetSource } from '../analytics/time/unsynced-readings.ts'
import { createClockOffsets } from './clock-offsets.ts'

const LOOK_EVERY_MS = 3000

export type ClockNoteReaderOptions = {
  stream: EventStream
  /** The topic of the ledger, where gateways say how far their clocks were off. */
  topic: string
  signal: AbortSignal
  /** It cannot be read now, or null: it can again. */
  onAway(reason: string | null): void
  pollEveryMs?: number
}

/**
 * What gateways said of their clocks, from the beginning of the ledger on, and what they go on to
 * say. Resolves when all that stands there was read, so that who begins anew waits for nothing that
 * is known; while Kafka is away it goes on trying, until `signal` aborts.
 */
export async function startClockNoteReader(
  options: ClockNoteReaderOptions,
): Promise<ClockOffsetSource> {
  const { stream, topic, signal, pollEveryMs = LOOK_EVERY_MS } = options
  const offsets = createClockOffsets()
  const position = new Map<number, number>()

  const take = ({ partition, offset, value, appendTimeMs }: ReadRecord) => {
    position.set(partition, offset + 1)
    const note = decodeNote(value, appendTimeMs)
    if (note?.kind === 'clock') offsets.add(note.gateway, note)
  }
  /** Whether the topic is there: without one, no gateway has said anything. */
  const readOn = async (): Promise<boolean> => {
    const stretch = (await stream.topicOffsets([topic])).get(topic)
    if (!stretch) return false
    for (const [partition, begin] of stretch.begin) {
      position.set(partition, Math.max(begin, position.get(partition) ?? 0))
    }
    await stream.readBetween(topic, new Map(position), stretch.end, take)
    return true
  }
  let away: string | null = null
  const tell = (reason: string | null) => {
    if (reason !== away) options.onAway(reason)
    away = reason
  }
  /** Whether all that stands there was read. */
  const look = async (): Promise<boolean> => {
    try {
      const isThere = await readOn()
      tell(isThere ? null : `there is no topic ${topic}, or this user may not read it`)
      return true
    } catch (error) {
      tell((error as Error).message)
      return false
    }
  }
  const rest = () => sleep(pollEveryMs, undefined, { signal }).catch(() => {})
  const goOn = async () => {
    for (await rest(); !signal.aborted; await rest()) await look()
  }

  while (!signal.aborted && !(await look())) await rest()
  void goOn()
  return { offsetOf: ({ gateway, epoch, sequence }) => offsets.find(gateway, epoch, sequence) }
}
