/** Least and greatest value of minute, hour, day of the month, month and day of the week. */
const FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const

/**
 * Whether a text is a schedule as cron writes it: five fields parted by blanks, each `*`, a number,
 * a range `a-b`, either with a step `/n`, or several of these parted by commas.
 */
export function isSchedule(text: string): boolean {
  const fields = text.split(' ')
  return (
    fields.length === FIELDS.length &&
    FIELDS.every(([min, max], at) => fields[at]!.split(',').every(one => isWithin(one, min, max)))
  )
}

function isWithin(one: string, min: number, max: number): boolean {
  const parts = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(one)
  if (!parts) return false
  const [from = min, to = from, step = 1] = parts
    .slice(1)
    .map(part => (part === undefined ? undefined : Number(part)))
  return from >= min && to <= max && from <= to && step >= 1
}
