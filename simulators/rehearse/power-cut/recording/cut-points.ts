import { mulberry32 } from '../../../building/random.ts'
import { createStorePromises, type WorkloadPhase } from './marks.ts'
import type { RecordedCall } from './recorded-calls.ts'

/** A power cut after call `at` of a store. */
export type CutPoint = { store: string; at: number; phase: WorkloadPhase; number: number }

/** The phases in which power is cut. */
const PHASES: readonly WorkloadPhase[] = [
  'creation',
  'open',
  'commit',
  'checkpoint',
  'prune',
  'drop',
  'migration',
  'recovery',
  'inbox',
]

/**
 * Draws `times` cut points, numbered from `first` on. Each phase gets equally many cut points (a
 * checkpoint is as likely as a commit, though checkpoints are rarer), in any store and after any
 * call. The cut points are in the order of the calls. Throws an Error when the recording lacks a
 * phase.
 */
export function chooseCutPoints(
  stores: Map<string, RecordedCall[]>,
  { times, first, seed }: { times: number; first: number; seed: number },
): CutPoint[] {
  const random = mulberry32(seed)
  const pick = <T>(items: T[]) => items[Math.floor(random() * items.length)]!
  const callsByPhase = new Map(PHASES.map(phase => [phase, new Map<string, number[]>()]))
  for (const [store, calls] of stores) {
    for (const [at, phase] of phasesOf(calls).entries()) {
      const callsByStore = callsByPhase.get(phase)
      const callsOfStore = callsByStore?.get(store)
      if (callsOfStore) callsOfStore.push(at)
      else callsByStore?.set(store, [at])
    }
  }
  const points = Array.from({ length: times }, (_, index) => {
    const phase = PHASES[(first + index) % PHASES.length]!
    const callsByStore = [...callsByPhase.get(phase)!]
    if (callsByStore.length === 0)
      throw new Error(`the recording has no call of the phase '${phase}'`)
    const [store, callsOfStore] = pick(callsByStore)
    return { store, at: pick(callsOfStore), phase, number: first + index }
  })
  return points.sort((a, b) => (a.store < b.store ? -1 : a.store > b.store ? 1 : a.at - b.at))
}

/**
 * The phase of each call, as the workload's marks say; a write to a main database file is a
 * checkpoint.
 */
export function phasesOf(calls: RecordedCall[]): WorkloadPhase[] {
  const promises = createStorePromises()
  const names = new Map<string, string>()
  return calls.map(call => {
    if (call.kind === 'mark') promises.addLines(call.lines)
    if (call.kind === 'open') names.set(call.handle, call.name)
    const { phase } = promises
    if (phase !== 'commit' && phase !== 'inbox') return phase
    const name = 'handle' in call ? names.get(call.handle) : 'name' in call ? call.name : ''
    const isCheckpoint = name!.endsWith('.db') || call.kind === 'unlink'
    return isCheckpoint ? 'checkpoint' : phase
  })
}
