import { findFalseProof, verdictOn } from './judgement.ts'
import { createRandom } from './random.ts'
import { deliverAll, runStep, type Step, weightedSteps } from './steps.ts'
import { World } from './world.ts'

const STEPS_MAX = 40

/** The steps of a history; they depend on the seed alone. */
export function stepsOf(seed: number): Step[] {
  const random = createRandom(seed)
  const number = () => Math.floor(random() * 1000)
  const length = 5 + Math.floor(random() * STEPS_MAX)
  return Array.from({ length }, () => {
    const name = weightedSteps[Math.floor(random() * weightedSteps.length)]!
    return [name, number(), number(), number()] as const
  })
}

/** Runs a history; returns how the ledger's verdict contradicts the truth, or null. */
export function findContradiction(steps: readonly Step[]): string | null {
  const world = new World()
  world.addCard('gw')
  const check = () => findFalseProof(world, verdictOn(world))
  for (const step of steps) {
    runStep(world, step)
    const found = step[0] === 'check' && check()
    if (found) return found
  }
  deliverAll(world)
  const report = verdictOn(world)
  const found = findFalseProof(world, report)
  if (found) return found
  if (world.flaws.size > 0 || !world.showsEveryZone() || report.verdict === 'complete') return null
  return `everything is there, but the verdict is ${JSON.stringify(report)}`
}

/** Removes steps from a failing history as long as it still fails. */
export function shrink(steps: readonly Step[]): Step[] {
  let shortest = [...steps]
  for (let size = shortest.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= shortest.length; ) {
      const fewer = shortest.toSpliced(at, size)
      if (findContradiction(fewer)) shortest = fewer
      else at += size
    }
  }
  return shortest
}

/** The text of the first failing history of some seeds; null when all histories agree. */
export function findFailure(firstSeed: number, count: number, onDone?: (done: number) => void) {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const steps = stepsOf(seed)
    if (findContradiction(steps)) {
      const shortest = shrink(steps)
      const lines = shortest.map(step => `  ${JSON.stringify(step)}`)
      return [`seed ${seed}: ${findContradiction(shortest)}`, ...lines].join('\n')
    }
    onDone?.(seed - firstSeed + 1)
  }
  return null
}
