import { mulberry32 } from '../../../building/random.ts'
import { createStorePromises, type WorkloadPhase } from './marks.ts'
import type { RecordedCall } from './recorded-calls.ts'

/** A power cut behind a call of a store. */
export type CutPoint = { store: string; at: number; phase: WorkloadPhase; number: number }

/** What power is cut under. Another phase that is recorded is what nobody waits for. */
const PHASES: readonly WorkloadPhase[] = [
  'creation',
  'open',
  'commit',
  'checkpoint',
  'prune',
  'drop',
  'migration',
  'heal',
  'inbox',
]

/**
 * Draws moments to cut the power, numbered from `first` on: as many in each phase (a checkpoint is
 * as likely as a commit, though it is rarer), in any store, at any call. In the order of the calls.
 * Throws an Error when a phase is not in the recording.
 */
export function chooseCutPoints(
  stores: Map<string, RecordedCall[]>,
  { times, first, seed }: { times: number; first: number; seed: number },
): CutPoint[] {
  const random = mulberry32(seed)
  const pick = <T>(items: T[]) => items[Math.floor(random() * items.length)]!
  const places = new Map(PHASES.map(phase => [phase, new Map<string, number[]>()]))
  for (const [store, calls] of stores) {
    for (const [at, phase] of phasesOf(calls).entries()) {
      const ofPhase = places.get(phase)
      const all = ofPhase?.get(store)
      if (all) all.push(at)
      else ofPhase?.set(store, [at])
    }
  }
  const points = Array.from({ length: times }, (_, index) => {
    const phase = PHASES[(first + index) % PHASES.length]!
    const ofPhase = [...places.get(phase)!]
    if (ofPhase.length === 0) throw new Error(`the recording has no ${phase}`)
    const [store, all] = pick(ofPhase)
    return { store, at: pick(all), phase, number: first + index }
  })
  return points.sort((a, b) => (a.store < b.store ? -1 : a.store > b.store ? 1 : a.at - b.at))
}

/** What went on at each call, by the workload's word; but a main file changes in checkpoints. */
export function phasesOf(calls: RecordedCall[]): WorkloadPhase[] {
  const promised = createStorePromises()
  const names = new Map<string, string>()
  return calls.map(call => {
    if (call.kind === 'mark') promised.addLines(call.lines)
    if (call.kind === 'open') names.set(call.handle, call.name)
    const { phase } = promised
    if (phase !== 'commit' && phase !== 'inbox') return phase
    const name = 'handle' in call ? names.get(call.handle) : 'name' in call ? call.name : ''
    const isCheckpoint = name!.endsWith('.db') || call.kind === 'unlink'
    return isCheckpoint ? 'checkpoint' : phase
  })
}
