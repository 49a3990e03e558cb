import type { ClockState } from '../../../config/event/sensor-reading.ts'
import type { Runs, Span } from '../sequence/spans.ts'

/**
 * The content of every kind of note, field by field as in the JSON on disk and in the ledger topic.
 * Kinds and fields are a contract with stored data: never rename or remove one. `from` and `to` are
 * sequence numbers, both included. `store` is the id of the outbox concerned, in hex.
 *
 * A new kind is one entry here, one line in the readers of cloud-bridge/ledger/notes/notes.ts and
 * one row in docs/internals/on-disk.md. Its content must not have `reason` as its only field,
 * because such a content marks a damaged note. `outbox.commit({ notes })` stores the note.
 */
export type NoteContents = {
  /**
   * An epoch begins after the epoch `previous`. `previous` is null when there was no epoch before,
   * or when `heads` notes name the end of the previous epoch. When that epoch had very many zones,
   * `heads` notes before this note name the other zones.
   */
  epoch: { epoch: number; firstSequence: number; previous: EpochEnd | null }
  /**
   * The heartbeat of an epoch, in several notes when very many zones have new events. Also names
   * the end of an epoch under the id that the gateway had before it was renamed.
   */
  heads: EpochEnd
  /** Numbers that the bell or the inbox names and that the outbox does not store. */
  hole: Partial<Span> & { epoch: number | undefined; notes?: Span; reason: string }
  /** Events deleted before their delivery. */
  tombstone: Tombstone | ThinnedTombstone
  /** Events whose `receivedAt` may be wrong: add `offsetMs` to correct it; 0 when it was right. */
  clock: Span & { epoch: number; offsetMs: number }
  /** A message or an event that cannot be processed, with its original bytes. */
  deadletter: DeadLetterMessage | DeadLetterEvent | DeadLetterWithoutPayload
  /** The dead letter is stored as the event `sequence`. */
  retried: DeadLetterNumber & { sequence: number }
  /** An operator dropped the dead letter. */
  dropped: DeadLetterNumber
  /**
   * Events that were lost with a damaged outbox, or a damaged inbox that was replaced by a new
   * file.
   */
  quarantine: LostEvents | DamagedInbox
  /** What was salvaged from a damaged outbox; `lostNotes` are numbers of notes. */
  salvage: { reason: string; file: string } & SalvageCounts
  /** The events of a range arrive after newer events. */
  behind: Deferral & { topic: string; partitions: number; zones: unknown }
  /** All events of a deferred range are delivered; `behind` is the number of its `behind` note. */
  'caught up': Deferral & { behind: number }
  /**
   * The deferred ranges of the inbox. A deferred range that an earlier note names and this note
   * does not name no longer exists.
   */
  contact: { store: string; behind: (Omit<Deferral, 'store'> & { behind: number })[] }
  /** Events after the sequence `behind` are sent to another number of partitions. */
  spread: {
    store: string
    topic: string
    behind: number
    partitions: { from: number; to: number }
  }
  /** An event that Kafka rejected for good. */
  rejected: EventNumbers & { store: string; sequence: number; reason: string }
  /**
   * A note that Kafka rejected for good; `sequence`, `kind` and `noteRun` (its `run`) are those of
   * the rejected note.
   */
  'rejected note': NoteFile & { sequence: number; kind: string; reason: string; noteRun?: number }
  /** Events of a range, or notes of a file, that the bridge did not find. */
  jump: PassedSpan | (NoteFile & { notes: Span; reason: string })
  /** Events of a range that the bridge could not read. */
  unreadable: PassedSpan
  /** Events of a replay that were not sent; `asked` is the period of the replay. */
  'not replayed': PassedSpan & { asked: string } & ({ askedZones: unknown } | EventNumbers)
  /** An operator declares to the ledger topic that nothing more comes from these stores. */
  retired: { stores: string[]; reason: string }
  /** Written by rehearsals and tests only. */
  rehearsed: Record<string, unknown>
}

export type NoteKind = keyof NoteContents

/**
 * Who writes a note: the gateway's id, and the epoch of the run that writes. A note of the bridge
 * names the gateway and the epoch of the outbox that the bridge reads; notes that early versions of
 * the bridge wrote name no gateway. A field is null where it is unknown.
 */
export type NoteWriter = { gateway: string | null; run: number | null }

/** The bridge before it has read an outbox, and old notes that are stored unchanged. */
export const UNKNOWN_WRITER: NoteWriter = { gateway: null, run: null }

/**
 * A note before it has a number. `gateway` is the gateway's id when the note is not about the
 * gateway's current id; `run` is the epoch of the run that wrote a decoded note; notes of
 * early versions do not name it.
 */
export type Note = {
  [Kind in NoteKind]: { kind: Kind; content: NoteContents[Kind]; gateway?: string; run?: number }
}[NoteKind]

/** The last sequence of an epoch and the last zone sequence of each zone. */
export type EpochEnd = {
  epoch: number
  lastSequence: number
  zones: (readonly [zone: string, zoneSequence: number])[]
}

/**
 * The events of complete groups that were deleted. `zones` contains the zone sequences of these
 * events.
 */
export type Tombstone = Span & {
  epoch: number
  count: number
  zones: [zone: string, first: number, count: number][]
  reason: string
  zonesLeftOut?: number
}

/**
 * Events that thinning deleted: `numbers` and the zone sequences in `zones` are encoded as runs.
 * The means of the deleted values are in the last tombstone of a thinned run, which may name no
 * events itself (`count` 0).
 */
export type ThinnedTombstone = (
  | (Omit<Tombstone, 'zones'> & { numbers: Runs; zones: [zone: string, ...runs: Runs][] })
  | { count: 0; reason: string }
) & { means?: Mean[]; meansLeftOut?: number }

/** The count and the mean of the deleted values of one metric of a device. */
export type Mean = [
  site: string,
  zone: string,
  device: string,
  metric: string,
  count: number,
  mean: number,
]

/**
 * The dead letter with the number `deadletter`, which the run `deadletterRun` stored. The run is
 * absent for dead letters of early versions.
 */
type DeadLetterNumber = { deadletter: number; deadletterRun?: number }

/** `payload` is base64. */
type DeadLetterMessage = {
  reason: string
  place: string
  topic: string
  clock?: ClockState
  payload: string
}

/**
 * An event that Kafka rejected. `payload` is null when the event is too large for a dead letter.
 */
type DeadLetterEvent = NoteContents['rejected'] & { place: 'kafka'; payload: string | null }

/** A dead letter whose payload of `size` bytes was dropped at the bound named by `dropped`. */
type DeadLetterWithoutPayload = {
  dropped: string
  payload: null
  size: number
  [field: string]: unknown
}

/** `file` is the name of the damaged file, which was set aside. */
type LostEvents = Span & {
  reason: string
  zones?: ZoneSpan[]
  epoch?: number
  file: string
}
type DamagedInbox = { what: 'inbox'; reason: string; file: string }
type SalvageCounts = {
  groups: number
  events: number
  notes: number
  incoming: number
  lostEvents: number
  lostNotes: Span[]
}

/**
 * A deferred range. `to` is null while the range has no end; `apart` means an isolated partition.
 */
type Deferral = { store: string; from: number; to: number | null; why: 'backlog' | 'apart' }

/**
 * The zone of an event and its numbers. A number is null when it cannot be read from the bytes of
 * the event.
 */
type EventNumbers = { zone: string; epoch: number | null; zoneSequence: number | null }

/** The file that contains a note. */
type NoteFile = { store: string; origin: 'outbox' | 'inbox' }

/** Events of the range with the id `range`; their zones as far as they are known. */
type PassedSpan = Span & { range: number; store: string; reason: string; zones?: ZoneSpan[] }

/** The zone sequences of one zone. */
type ZoneSpan = { zone: string; first: number; count: number }

/**
 * Encodes the body of a note as it is stored: JSON with the gateway's id in the field `speaker` and
 * the writer's epoch in the field `run`, then the fields of `content` in their order. Leaves out
 * what neither the note nor `writer` names.
 */
export function encodeNoteBody({ content, ...note }: Note, writer: NoteWriter): Buffer {
  const speaker = note.gateway ?? writer.gateway
  const run = note.run ?? writer.run
  const head = { ...(speaker !== null && { speaker }), ...(run !== null && { run }) }
  return Buffer.from(JSON.stringify({ ...head, ...content }))
}

/** Decodes the content of a note, and its gateway and run when the note names them. */
export function splitNoteBody({ speaker, run, ...content }: Record<string, unknown>) {
  return {
    ...(typeof speaker === 'string' && { gateway: speaker }),
    ...(typeof run === 'number' && { run }),
    content,
  }
}

/**
 * Decodes a stored note. The caller has verified the note's checksum, so the fields are those of
 * the note's kind.
 */
export function decodeNoteBody({ kind, body }: { kind: string; body: Buffer }): Note {
  return { kind, ...splitNoteBody(JSON.parse(body.toString())) } as Note
}

type FieldsOf<Content> = Content extends unknown ? keyof Content : never

/** The content of a note whose fields were not checked yet. */
export type UncheckedContent<Kind extends NoteKind> = {
  [Field in FieldsOf<NoteContents[Kind]>]?: unknown
}
