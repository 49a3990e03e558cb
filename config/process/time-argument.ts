const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const RELATIVE = /^-(\d+(?:\.\d+)?)([smhd])$/
const ISO =
  /^(\d{4}-\d\d-(\d\d))T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:[0-5]\d)?$/

/**
 * Parses a time argument into ms since 1970, or returns why the argument is invalid. Valid are ISO
 * 8601 with a time and an offset or Z, `now`, and a time before now such as -30s, -15m, -2h, -7d. A
 * time without an offset is refused, because operator and device may be in different time zones.
 */
export function parseMoment(text: string, nowMs: number): number | { reason: string } {
  if (text === 'now') return nowMs
  const [, amount, unit] = RELATIVE.exec(text) ?? []
  if (amount) return Math.round(nowMs - Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS])
  const [, date, day, , , , offset] = ISO.exec(text) ?? []
  // Date parses 30 February as 1 or 2 March, which this check refuses.
  if (date === undefined || new Date(date).getUTCDate() !== Number(day)) {
    const examples = '2026-05-01T08:00:00Z, 2026-05-01T10:00+02:00, -2h or now'
    return { reason: `${JSON.stringify(text)} is not a time. Write a time such as ${examples}` }
  }
  if (offset) return Date.parse(text)
  const reason = `${text} is ambiguous: it has no time zone`
  return { reason: `${reason}. Write ${text}Z for UTC, or an offset such as ${text}+02:00` }
}
