import type { LedgerEvent } from '../../../../cloud-bridge/ledger/ledger.ts'

/** A reading that a simulated gateway acknowledged; `key` is unlike that of any other reading. */
export type Reading = Omit<LedgerEvent, 'appendTimeMs' | 'partition'> & { key: number }

/** A note in the form in which the bridge forwards notes. */
export type SimulatedNote = {
  gateway: string
  store: string
  origin: 'outbox' | 'inbox' | 'operator'
  sequence: number
  run?: number
  kind: string
  at: number
  content: Record<string, unknown>
}

export const PARTITIONS = 2

type Log<Value> = { begin: number; records: { value: Value; appendTimeMs: number }[] }

/** The readings and backfill topics with two partitions, and the ledger topic with one. */
export function createSimulatedTopics() {
  const partitions = () => Array.from({ length: PARTITIONS }, (): Log<Reading> => emptyLog())
  const [readings, backfill] = [partitions(), partitions()]
  let notes: Log<SimulatedNote> = emptyLog()
  /** Deletes and returns the records that Kafka stored before a moment (ms since 1970). */
  const expire = <Value>(log: Log<Value>, beforeMs: number) => {
    const kept = log.records.findIndex(({ appendTimeMs }) => appendTimeMs >= beforeMs)
    const deleted = kept < 0 ? log.records.length : kept
    log.begin += deleted
    return log.records.splice(0, deleted).map(({ value }) => value)
  }
  return {
    readings,
    backfill,
    get notes() {
      return notes
    },
    addReading(reading: Reading, appendTimeMs: number, isBacklog: boolean): void {
      const topic = isBacklog ? backfill : readings
      topic[partitionOf(reading)]!.records.push({ value: reading, appendTimeMs })
    },
    addNote(note: SimulatedNote, appendTimeMs: number): void {
      notes.records.push({ value: structuredClone(note), appendTimeMs })
    },
    hasNote: ({ store, sequence, at, kind }: SimulatedNote): boolean =>
      notes.records.some(
        ({ value }) =>
          value.store === store &&
          value.sequence === sequence &&
          value.at === at &&
          value.kind === kind,
      ),
    expireReadings: (beforeMs: number) =>
      [...backfill, ...readings].flatMap(log => expire(log, beforeMs)),
    expireNotes: (beforeMs: number) => expire(notes, beforeMs),
    /** Deletes the ledger topic and creates it. */
    emptyNotes(): void {
      notes = emptyLog()
    },
    /** Removes the record at an index, as an unclean election of a leader does. */
    loseReading(partition: number, index: number): Reading | undefined {
      return readings[partition]!.records.splice(index, 1)[0]?.value
    },
  }
}

export type SimulatedTopics = ReturnType<typeof createSimulatedTopics>

export const partitionOf = ({ zone }: { zone: string }) => zone.charCodeAt(0) % PARTITIONS

const emptyLog = <Value>(): Log<Value> => ({ begin: 0, records: [] })
