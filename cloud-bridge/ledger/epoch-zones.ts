import { IntervalSet } from '../interval-set.ts'

/**
 * An event's sequence; `at` is when the gateway received the event, `appendTimeMs` is when Kafka
 * stored it, both in ms since 1970.
 */
export type EventPosition = { sequence: number; at: number; appendTimeMs: number }

/** A zone within an epoch. */
export type EpochZone = {
  seen: IntervalSet<EventPosition>
  /** The highest zone sequence that a note reports; 0 before such a note. */
  head: number
  /**
   * The first zone sequence that must be accounted for. Null: the lowest one seen, because earlier
   * ones were complete and are forgotten.
   */
  first: number | null
}

/** The zones of one epoch. */
export function createEpochZones() {
  const zones = new Map<string, EpochZone>()
  let isTrimmed = false
  const zoneOf = (name: string): EpochZone => {
    const found = zones.get(name)
    if (found) return found
    const zone: EpochZone = { seen: new IntervalSet(), head: 0, first: isTrimmed ? null : 1 }
    zones.set(name, zone)
    return zone
  }
  return {
    all: zones as ReadonlyMap<string, EpochZone>,
    /** Whether a zone that is not in `all` can be one that was complete and is forgotten. */
    get isTrimmed() {
      return isTrimmed
    },
    /** Adds an event; false when the zone sequence was seen before. */
    add: (name: string, zoneSequence: number, position: EventPosition): boolean =>
      zoneOf(name).seen.add(zoneSequence, position),
    /** Adds the last zone sequence that a note reports for each zone. */
    raiseHeads(heads: readonly (readonly [zone: string, last: number])[]): void {
      for (const [name, last] of heads) {
        const zone = zoneOf(name)
        zone.head = Math.max(zone.head, last)
      }
    },
    /** Forgets the zones that are complete. */
    trim(): void {
      for (const [name, zone] of zones) if (isComplete(zone)) zones.delete(name)
      isTrimmed = true
    },
  }
}

/** The first zone sequence of a zone that must be accounted for. */
export function firstZoneSequenceOf({ first, seen, head }: EpochZone): number {
  return first ?? seen.lowest ?? head + 1
}

const isComplete = (zone: EpochZone) =>
  zone.seen.covers(firstZoneSequenceOf(zone), zone.head) && (zone.seen.highest ?? 0) <= zone.head
