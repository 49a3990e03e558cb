import { pause } from '../../../config/process/pause.ts'
import { decodeNote } from '../../ledger/notes/notes.ts'
import type { EventStream, ReadRecord } from '../../ports/event-stream.ts'
import type { ClockOffsetSource } from '../analytics/time/unsynced-readings.ts'
import { createClockOffsets } from './clock-offsets.ts'

const POLL_EVERY_MS = 3000

export type ClockNoteReaderOptions = {
  stream: EventStream
  /** The ledger topic, in which gateways report their clock offsets. */
  topic: string
  signal: AbortSignal
  /**
   * Called with the reason why the topic cannot be read, and with null when a read succeeds again.
   */
  onUnavailable(reason: string | null): void
  pollEveryMs?: number
}

/**
 * Reads the clock offsets that gateways report, from the beginning of the ledger topic, and follows
 * new ones until `signal` aborts. Resolves after the first read to the topic's end, so that no
 * reading waits for an offset that is already known; retries while Kafka is unavailable.
 */
export async function startClockNoteReader(
  options: ClockNoteReaderOptions,
): Promise<ClockOffsetSource> {
  const { stream, topic, signal, pollEveryMs = POLL_EVERY_MS } = options
  const offsets = createClockOffsets()
  const position = new Map<number, number>()

  const addRecord = ({ partition, offset, value, appendTimeMs }: ReadRecord) => {
    position.set(partition, offset + 1)
    const note = decodeNote(value, appendTimeMs)
    if (note?.kind === 'clock') offsets.add(note.gateway, note)
  }
  /** False when the topic does not exist: then no gateway has reported an offset. */
  const readToEnd = async (): Promise<boolean> => {
    const topicOffsets = (await stream.topicOffsets([topic])).get(topic)
    if (!topicOffsets) return false
    for (const [partition, begin] of topicOffsets.begin) {
      position.set(partition, Math.max(begin, position.get(partition) ?? 0))
    }
    await stream.readBetween(topic, new Map(position), topicOffsets.end, addRecord)
    return true
  }
  let reported: string | null = null
  const report = (reason: string | null) => {
    if (reason !== reported) options.onUnavailable(reason)
    reported = reason
  }
  /**
   * Returns true when the topic was read to its end, or does not exist; false when Kafka failed.
   */
  const poll = async (): Promise<boolean> => {
    try {
      const exists = await readToEnd()
      report(
        exists ? null : `topic ${topic} does not exist, or this user is not allowed to read it`,
      )
      return true
    } catch (error) {
      report(`the clock notes in topic ${topic} cannot be read: ${(error as Error).message}`)
      return false
    }
  }
  const follow = async () => {
    for (;;) {
      await pause(pollEveryMs, signal)
      if (signal.aborted) return
      await poll()
    }
  }

  while (!signal.aborted && !(await poll())) await pause(pollEveryMs, signal)
  void follow()
  return { offsetOf: ({ gateway, epoch, sequence }) => offsets.find(gateway, epoch, sequence) }
}
