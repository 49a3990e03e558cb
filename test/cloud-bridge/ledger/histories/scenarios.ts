import type { StepName } from './steps.ts'

/** The first steps of a history, and which steps occur more often after them. */
export type Scenario = { opening: StepName[]; more: Partial<Record<StepName, number>> }

export const PLAIN: Scenario = { opening: [], more: {} }

/** Situations that random steps alone seldom produce. */
export const scenarios: Scenario[] = [
  // Two branches of a store assign equal numbers; notes name a part of one branch's numbers.
  {
    opening: ['accept', 'send', 'sendNotes', 'clone', 'accept', 'accept'],
    more: { accept: 12, damage: 8, drop: 4, send: 12, loseRecord: 6, check: 6 },
  },
  {
    opening: ['accept', 'send', 'clone', 'restart', 'accept', 'accept', 'accept'],
    more: { accept: 12, damage: 8, drop: 4, send: 12, sendNotes: 6 },
  },
  // One branch defers numbers, and the other branch loses equal numbers.
  {
    opening: ['accept', 'send', 'sendNotes', 'clone', 'accept', 'accept', 'send', 'beat'],
    more: { defer: 8, loseRecord: 6, waitMinutes: 8, beat: 6, sendNotes: 8, check: 8 },
  },
  // Retention deletes readings, and newer readings are gone.
  {
    opening: ['accept', 'send', 'beat', 'sendNotes', 'waitMinutes', 'accept', 'send', 'accept'],
    more: { accept: 8, send: 8, beat: 6, sendNotes: 8, loseRecord: 6, expireReadings: 4, check: 6 },
  },
  // Deferred numbers are beside numbers that a note explains or an operator retires.
  {
    opening: ['accept', 'beat', 'sendNotes', 'retire', 'accept', 'defer', 'accept', 'send'],
    more: { accept: 10, defer: 6, damage: 8, send: 10, beat: 6, sendNotes: 8, check: 12 },
  },
  // The newest numbers are gone, and time passes.
  {
    opening: ['accept', 'send', 'sendNotes', 'accept', 'beat', 'sendNotes'],
    more: { waitMinutes: 8, loseRecord: 4, replaceCard: 2, beat: 8, sendNotes: 8, check: 6 },
  },
  // A run is gone from Kafka, and so are the notes of that time.
  {
    opening: ['accept', 'send', 'loseRecord', 'loseRecord', 'restart', 'sendNotes', 'emptyNotes'],
    more: { accept: 12, send: 12, beat: 10, sendNotes: 10, restart: 2 },
  },
  {
    opening: ['accept', 'restart', 'accept', 'damage', 'damage', 'send', 'sendNotes', 'emptyNotes'],
    more: { accept: 12, send: 12, beat: 10, sendNotes: 10, restart: 2 },
  },
]
