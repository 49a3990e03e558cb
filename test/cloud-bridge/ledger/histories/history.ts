import type { LedgerReport } from '../../../../cloud-bridge/ledger/report.ts'
import { findFalseProof, findUncounted, verdictOn } from './judgement.ts'
import { createRandom } from './random.ts'
import { PLAIN, scenarios } from './scenarios.ts'
import { deliverAll, runStep, type Step, type StepName, weightedSteps } from './steps.ts'
import { World } from './world.ts'

const STEPS_MAX = 40
/** The flaws after which notes name everything that is gone. */
const NAMED_FLAWS = ['a jump', 'a tombstone']

/** The steps of a history; they depend on the seed alone. Every second seed has a scenario. */
export function stepsOf(seed: number): Step[] {
  const random = createRandom(seed)
  const number = () => Math.floor(random() * 1000)
  const stepOf = (name: StepName): Step => [name, number(), number(), number()]
  const length = 5 + Math.floor(random() * STEPS_MAX)
  const { opening, more } =
    seed % 2 === 0 ? PLAIN : scenarios[Math.floor(random() * scenarios.length)]!
  const names = weightedSteps(more)
  const others = Array.from({ length }, () => names[Math.floor(random() * names.length)]!)
  return [...opening, ...others].map(stepOf)
}

/** Runs a history; returns how the ledger's verdict contradicts the truth, or null. */
export function findContradiction(steps: readonly Step[]): string | null {
  const world = new World()
  world.addCard('gw')
  const check = (report = verdictOn(world)) =>
    findFalseProof(world, report) ?? findUncounted(world, report)
  for (const step of steps) {
    runStep(world, step)
    const found = step[0] === 'check' && check()
    if (found) return found
  }
  deliverAll(world)
  const report = verdictOn(world)
  return check(report) ?? findFalseAlarm(world, report)
}

/** How the report says too little about a history in which nothing is gone unnamed, or null. */
function findFalseAlarm(world: World, report: LedgerReport): string | null {
  if (!world.showsEveryZone() || report.verdict === 'complete') return null
  if (world.flaws.size === 0) {
    return `everything is there, but the verdict is ${JSON.stringify(report)}`
  }
  const isNamed =
    [...world.flaws].every(flaw => NAMED_FLAWS.includes(flaw)) &&
    [...world.fates.values()].every(fate => fate.delivered || world.isNamed(fate))
  const isProven = report.gateways.every(
    ({ state, missing, awaited }) => state === 'complete' && missing + awaited === 0,
  )
  if (!isNamed || isProven) return null
  return `notes name all that is gone, but the verdict is ${JSON.stringify(report)}`
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
