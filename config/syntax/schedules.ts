/** The range of minute, hour, day of the month, month and day of the week. */
const FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const

/**
 * Whether a text is a schedule in cron's syntax: five fields separated by blanks, each `*`, a
 * number or a range `a-b`, any of these with a step `/n`, or several of these separated by commas.
 */
export function isSchedule(text: string): boolean {
  const fields = text.split(' ')
  return (
    fields.length === FIELDS.length &&
    FIELDS.every(([min, max], index) =>
      fields[index]!.split(',').every(entry => isWithin(entry, min, max)),
    )
  )
}

function isWithin(entry: string, min: number, max: number): boolean {
  const parts = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(entry)
  if (!parts) return false
  const [from = min, to = from, step = 1] = parts
    .slice(1)
    .map(part => (part === undefined ? undefined : Number(part)))
  return from >= min && to <= max && from <= to && step >= 1
}
