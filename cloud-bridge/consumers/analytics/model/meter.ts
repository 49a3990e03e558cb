/**
 * How the doubtful readings of a meter were judged in a stretch of time. `rise` is in the meter's
 * own unit; it is negative when a counter falls steadily. Tallies of consecutive stretches add up.
 */
export type MeterTally = {
  rise: number
  /** Falls to near zero that stayed: the meter began again at zero. */
  resets: number
  /** Readings far off that came back; they count nothing. */
  glitches: number
  /** Small falls that came back; they count nothing. */
  dips: number
  /** The counter reached its largest number (10^n or 2^n) and went on at zero. */
  rollovers: number
  /** The counter changed its direction: it counts signed. */
  reversals: number
  /** Falls to another level that stayed: nothing counts for the fall itself. */
  unjudged: number
}

/**
 * What the judge remembers of a meter's earlier readings. All numbers, so that a state packs into
 * `METER_STATE_NUMBERS` doubles. Levels are readings multiplied by `direction`, so a counter that
 * falls steadily rises in levels.
 */
export type MeterState = {
  /** 1 for a counter that rises, -1 for a counter that falls. */
  direction: number
  /** The level up to which the rise counts; NaN before the first reading. */
  level: number
  /**
   * The largest ordinary rise between two readings, in this quarter of an hour and in the last
   * quarter before with a rise. So a late reading changes the states of few quarters after it.
   */
  step: number
  stepBefore: number
  /** Readings since a fall that is not judged yet; 0 when there is none. */
  fallReadings: number
  /** The first level after the fall, the last level, the lowest, and new lows in a row. */
  fallFirst: number
  fallLast: number
  fallLowest: number
  fallLows: number
  /**
   * The level before the last fall that stayed, and the level from which the rise since counts;
   * NaN when there is none.
   */
  formerLevel: number
  formerBase: number
  /** The level before a large rise, until two readings confirm the rise; NaN for none. */
  jumpFrom: number
  jumpReadings: number
}

export const METER_STATE_NUMBERS = 13

export const createMeterState = (): MeterState => ({
  ...{ direction: 1, level: Number.NaN, step: 0, stepBefore: 0 },
  ...{ fallReadings: 0, fallFirst: 0, fallLast: 0, fallLowest: 0, fallLows: 0 },
  ...{ formerLevel: Number.NaN, formerBase: Number.NaN, jumpFrom: Number.NaN, jumpReadings: 0 },
})

export const createMeterTally = (): MeterTally => ({
  ...{ rise: 0, resets: 0, glitches: 0, dips: 0, rollovers: 0, reversals: 0, unjudged: 0 },
})

/** A fall is judged with the reading after it and the two readings that follow. */
const FALL_READINGS = 3
/** A large rise is confirmed by two further readings. */
const JUMP_READINGS = 2
/** Shares of the level: a small fall, and near to zero. */
const SMALL_SHARE = 0.001
const NEAR_SHARE = 0.01
/** Multiples of the largest ordinary rise. */
const JUMP_STEPS = 10
const NEAR_STEPS = 2
/** The distance to the largest number at which a counter may roll over, as a share of it. */
const ROLLOVER_SHARE = 1e-4
const DECIMAL_DIGITS = { from: 4, to: 15 }
const BINARY_DIGITS = { from: 16, to: 49 }

/**
 * Judges the next reading of a meter, changes `state`, and adds what the reading decides to
 * `tally`. A decision counts at the reading that allows it, so the rise of a stretch depends on no
 * later reading, and the rises of consecutive stretches add up. The rules, for levels:
 *
 * - A reading at or above the level counts the difference.
 * - A lower reading counts nothing and waits for what follows:
 *   - A reading at the level or above: the fall was a *dip* (small: up to 0.1 % of the level, or up
 *     to the largest ordinary rise if that is below 1 %) or a *glitch* (any other).
 *   - Three new lows in a row: the counter falls steadily. The direction reverses, and the fall
 *     counts below zero. A counter whose first reading is negative begins in that direction.
 *   - A fall to near zero (up to 1 % of the level, or twice the largest ordinary rise) that stays
 *     for three readings: a *rollover* if a number 10^n or 2^n lies close above the level, else a
 *     *reset*. The rise since zero counts, and after a rollover also the rest up to that number.
 *   - A small fall waits for as long as nothing else happens.
 *   - Any other fall that stays for three readings is *unjudged*: the rise after the fall counts.
 * - A jump back to the level before a fall that stayed was a longer *glitch*: the rise that counted
 *   since the fall is taken back.
 * - A rise of more than ten ordinary rises that comes back within two readings was a *glitch*.
 */
export function judgeReading(state: MeterState, value: number, tally: MeterTally): void {
  if (Number.isNaN(state.level)) {
    state.direction = value < 0 ? -1 : 1
    state.level = value * state.direction
    return
  }
  const level = value * state.direction
  if (state.fallReadings > 0) judgeAfterFall(state, level, tally)
  else if (level >= state.level) rise(state, level, tally)
  else fall(state, level, tally)
}

/** Begins the next quarter of an hour with readings: the state forgets older ordinary rises. */
export function beginMeterQuarter(state: MeterState): void {
  if (state.step === 0) return
  state.stepBefore = state.step
  state.step = 0
}

export function addTallies(a: MeterTally, b: MeterTally): MeterTally {
  const sum = createMeterTally()
  for (const name of tallyNames) sum[name] = a[name] + b[name]
  return sum
}

export const isSameMeterState = (a: MeterState, b: MeterState): boolean =>
  stateNames.every(name => Object.is(a[name], b[name]))

/** The numbers of a state, in a fixed order. */
export const numbersOfMeterState = (state: MeterState): number[] =>
  stateNames.map(name => state[name])

export function meterStateOf(numbers: readonly number[]): MeterState {
  const state = createMeterState()
  for (const [index, name] of stateNames.entries()) state[name] = numbers[index]!
  return state
}

// The order in which the numbers are stored.
const stateNames = Object.keys(createMeterState()) as (keyof MeterState)[]
export const tallyNames = Object.keys(createMeterTally()) as (keyof MeterTally)[]

function rise(state: MeterState, level: number, tally: MeterTally): void {
  const delta = level - state.level
  const step = stepOf(state)
  const isJump = step > 0 && delta > JUMP_STEPS * step
  if (isJump && isBackAt(state, state.formerLevel, level)) {
    const taken = state.level - state.formerBase
    const back = Math.max(level, state.formerLevel)
    count(state, back - state.formerLevel - taken, tally)
    tally.glitches++
    forgetFall(state)
    state.level = back
    return
  }
  count(state, delta, tally)
  if (isJump && Number.isNaN(state.jumpFrom)) state.jumpFrom = state.level
  else if (!Number.isNaN(state.jumpFrom) && ++state.jumpReadings > JUMP_READINGS) forgetJump(state)
  if (!isJump) state.step = Math.max(state.step, delta)
  if (level >= state.formerLevel) forgetFall(state)
  state.level = level
}

function fall(state: MeterState, level: number, tally: MeterTally): void {
  if (isBackAt(state, state.jumpFrom, level)) {
    const back = Math.max(level, state.jumpFrom)
    count(state, back - state.level, tally)
    tally.glitches++
    forgetJump(state)
    state.level = back
    return
  }
  state.fallReadings = 1
  state.fallFirst = level
  state.fallLast = level
  state.fallLowest = level
  state.fallLows = 1
}

function judgeAfterFall(state: MeterState, level: number, tally: MeterTally): void {
  if (level >= state.level || isReturn(state, level)) {
    if (state.level - state.fallLowest <= smallFall(state)) tally.dips++
    else tally.glitches++
    endFall(state)
    if (level >= state.level) rise(state, level, tally)
    return
  }
  followFall(state, level)
  const depth = state.level - state.fallLowest
  if (isNearZero(state, state.fallFirst) && depth > smallFall(state)) {
    if (state.fallReadings >= FALL_READINGS) restart(state, level, tally)
  } else if (state.fallLows >= FALL_READINGS) reverse(state, level, tally)
  else if (depth > smallFall(state) && state.fallReadings >= FALL_READINGS) {
    tally.unjudged++
    restartAt(state, level, level - state.fallFirst, tally)
  }
}

/** Whether a level ends a large fall, although it is a little below the level before the fall. */
const isReturn = (state: MeterState, level: number) =>
  state.level - state.fallLowest > smallFall(state) && state.level - level <= smallFall(state)

/** Adds a further reading to a fall. A fall that gets much deeper begins again at that reading. */
function followFall(state: MeterState, level: number): void {
  state.fallLows = level < state.fallLast ? state.fallLows + 1 : 0
  state.fallReadings++
  const small = smallFall(state)
  const wasSmall = state.level - state.fallLowest <= small
  const isDeeper = wasSmall && state.level - level > small
  if (isDeeper || (isNearZero(state, level) && !isNearZero(state, state.fallFirst))) {
    state.fallFirst = level
    state.fallReadings = 1
  }
  state.fallLast = level
  state.fallLowest = Math.min(state.fallLowest, level)
}

/** A fall to near zero has stayed: a rollover or a reset; unjudged if the counter went on high. */
function restart(state: MeterState, level: number, tally: MeterTally): void {
  if (!isNearZero(state, level)) {
    tally.unjudged++
    restartAt(state, level, 0, tally)
    return
  }
  const rest = restBeforeRollover(state)
  if (rest === null) tally.resets++
  else tally.rollovers++
  restartAt(state, level, level + (rest ?? 0), tally)
}

function restartAt(state: MeterState, level: number, risen: number, tally: MeterTally): void {
  count(state, risen, tally)
  state.formerLevel = state.level
  state.formerBase = level - risen
  state.level = level
  endFall(state)
  forgetJump(state)
}

function reverse(state: MeterState, level: number, tally: MeterTally): void {
  count(state, level - state.level, tally)
  tally.reversals++
  state.direction = -state.direction
  state.level = -level
  endFall(state)
  forgetFall(state)
  forgetJump(state)
}

// What is over leaves no trace, so that states with the same memory are equal.
function endFall(state: MeterState): void {
  state.fallReadings = 0
  state.fallFirst = 0
  state.fallLast = 0
  state.fallLowest = 0
  state.fallLows = 0
}

function forgetFall(state: MeterState): void {
  state.formerLevel = Number.NaN
  state.formerBase = Number.NaN
}

function forgetJump(state: MeterState): void {
  state.jumpFrom = Number.NaN
  state.jumpReadings = 0
}

/** What a counter lacked before it rolled over; null when no such number lies close above. */
function restBeforeRollover(state: MeterState): number | null {
  const { level, fallFirst } = state
  for (const [base, { from, to }] of [[10, DECIMAL_DIGITS] as const, [2, BINARY_DIGITS] as const]) {
    for (let digits = from; digits <= to; digits++) {
      const end = base ** digits
      const most = Math.max(JUMP_STEPS * stepOf(state), end * ROLLOVER_SHARE)
      if (end > level && end - level + fallFirst <= most) return end - level
    }
  }
  return null
}

function count(state: MeterState, levels: number, tally: MeterTally): void {
  tally.rise += levels * state.direction
}

/** Whether a level is about `before`, the level before something doubtful; false for NaN. */
const isBackAt = (state: MeterState, before: number, level: number): boolean =>
  level >= before - Math.max(SMALL_SHARE * before, stepOf(state)) &&
  level - before <= Math.max(JUMP_STEPS * stepOf(state), NEAR_SHARE * before)

const stepOf = ({ step, stepBefore }: MeterState): number => Math.max(step, stepBefore)

const smallFall = (state: MeterState): number =>
  Math.max(SMALL_SHARE * state.level, Math.min(stepOf(state), NEAR_SHARE * state.level))

const isNearZero = (state: MeterState, level: number): boolean => {
  const near = Math.max(NEAR_SHARE * state.level, NEAR_STEPS * stepOf(state))
  return level >= 0 && level <= Math.min(near, state.level / 2)
}
