import type { ZoneRange } from './group-codec.ts'

/**
 * Assigns the sequences and zone sequences of one commit's events. Without a call of `commit`, the
 * next draft assigns the same numbers again.
 */
export type NumberingDraft = {
  /** Numbers the next event. `zoneIndex` is the zone's index in `zones`. */
  next(zone: string): { sequence: number; zoneSequence: number; zoneIndex: number }
  /** The zones of the current group. */
  readonly zones: ZoneRange[]
  /**
   * Begins the next group of the commit; returns the array to which `next` adds the zones of the
   * group.
   */
  nextGroup(): ZoneRange[]
  /** The zones of all groups of the commit. */
  readonly allZones: ZoneRange[]
  commit(): void
}

/**
 * Numbers the events of one epoch: a sequence over the store and a zone sequence in each zone, both
 * without gaps. The next draft reuses the numbers of a draft whose commit failed.
 */
export function createNumbering(lastSequence: number) {
  const heads = new Map<string, number>()
  let last = lastSequence
  return {
    /** Each zone's last committed zone sequence in this epoch: the zone heads. */
    heads: heads as ReadonlyMap<string, number>,
    /** The last committed sequence. */
    get last() {
      return last
    },
    draft(): NumberingDraft {
      const groups: ZoneRange[][] = []
      let zones: ZoneRange[] = []
      let indexes = new Map<string, number>()
      let sequence = last
      const drafted = new Map<string, number>()
      const lastOf = (zone: string) => drafted.get(zone) ?? heads.get(zone) ?? 0
      return {
        get zones() {
          return zones
        },
        get allZones() {
          return [...groups, zones].flat()
        },
        nextGroup() {
          if (zones.length > 0) {
            groups.push(zones)
            for (const { zone, first, count } of zones) drafted.set(zone, first + count - 1)
            zones = []
            indexes = new Map()
          }
          return zones
        },
        next(zone) {
          let zoneIndex = indexes.get(zone)
          if (zoneIndex === undefined) {
            zoneIndex = zones.push({ zone, first: lastOf(zone) + 1, count: 0 }) - 1
            indexes.set(zone, zoneIndex)
          }
          const range = zones[zoneIndex]!
          range.count++
          sequence++
          return { sequence, zoneSequence: range.first + range.count - 1, zoneIndex }
        },
        commit() {
          last = sequence
          for (const { zone, first, count } of this.allZones) heads.set(zone, first + count - 1)
        },
      }
    },
  }
}

/**
 * One run of the gateway's writer: its store, gateway and epoch, and the last sequence before the
 * run.
 */
export type Epoch = { store: Buffer; gateway: string; epoch: number; lastSequence: number }
