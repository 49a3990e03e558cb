/** What a route must know of a message before it can become an event. */
export const placeFields = ['site', 'zone', 'device'] as const
export type PlaceField = (typeof placeFields)[number]

/** Longest site, zone or device, in UTF-16 units: they are in every event and every header. */
export const placeMaxLength = 128

/** The lane of what no route puts elsewhere. */
export const standardLane = 'standard'
/** How many lanes there may be, the standard one included. */
export const lanesMax = 8

/** One level of a route's topic: it takes exactly this text, or any text as this field. */
export type Level = { text: string } | { field: PlaceField }

/** What is wrong in a route: at which of its keys, why, and what to do. */
export type RouteFault = { key: 'topic' | PlaceField; reason: string; cure: string }

const isPlaceField = (name: string): name is PlaceField => placeFields.some(field => field === name)
const allowed = 'The placeholders are {site}, {zone} and {device}, each at most once'

/**
 * Why a site, zone or device cannot be used, as the end of a sentence ("is empty"); undefined if
 * it can. U+FFFD counts as invalid: it is what remains of bytes that were not UTF-8.
 */
export function placeFault(text: string): string | undefined {
  if (text === '') return 'is empty'
  if (text.length > placeMaxLength) return `is longer than ${placeMaxLength} characters`
  if (/\p{Cc}/u.test(text)) return 'holds a control character'
  if (text.includes('\ufffd') || !text.isWellFormed()) return 'is not valid UTF-8'
  return undefined
}

/**
 * Reads a route's topic: levels parted by '/', each a text or one placeholder such as {zone}.
 * Gives the levels, and every fault of the syntax; with faults the levels are useless.
 */
export function parsePattern(topic: string): { levels: Level[]; faults: RouteFault[] } {
  const faults: RouteFault[] = []
  const blame = (reason: string, cure: string) => faults.push({ key: 'topic', reason, cure })
  if (topic === '') blame('is empty', 'Write a topic such as building/{site}/zone/{zone}/{device}')
  if (Buffer.byteLength(topic) > 65535) blame('is longer than 65535 bytes', 'Shorten it')
  const seen = new Set<PlaceField>()
  const levels = topic.split('/').map((level): Level => {
    const name = /^\{([^{}]*)\}$/.exec(level)?.[1]
    if (name === undefined) {
      const fault = textFault(level)
      if (fault) blame(...fault)
      return { text: level }
    }
    if (!isPlaceField(name)) {
      blame(`holds the unknown placeholder {${name}}`, allowed)
      return { text: level }
    }
    if (seen.has(name)) blame(`holds {${name}} twice`, allowed)
    seen.add(name)
    return { field: name }
  })
  return { levels, faults }
}

function textFault(level: string): [reason: string, cure: string] | undefined {
  const wildcard = /[+#]/.exec(level)?.[0]
  if (wildcard) return [`holds the wildcard ${wildcard}`, `Name what the level is. ${allowed}`]
  if (/[{}]/.test(level)) {
    return [
      `has a stray brace in the level ${JSON.stringify(level)}`,
      'Let a placeholder fill its level alone, between two slashes, as in zone/{zone}/sensor',
    ]
  }
  const fault = level === '' ? undefined : placeFault(level)
  return fault ? [`has a level that ${fault}`, 'Write every level as plain text'] : undefined
}

/**
 * All faults of one route: those of its topic, and every field that comes from nowhere or from both
 * a placeholder and a constant. Wrong types count as absent: the schema reports those.
 */
export function routeFaults(route: Record<string, unknown>): RouteFault[] {
  if (typeof route.topic !== 'string') return []
  const { levels, faults } = parsePattern(route.topic)
  // A misspelt placeholder is one fault, not also a missing field.
  if (faults.length > 0) return faults
  return placeFields.flatMap((field): RouteFault[] => {
    const placed = levels.some(level => 'field' in level && level.field === field)
    const constant = route[field] !== undefined
    if (placed && constant) {
      const cure = `Keep one: the placeholder, or the constant ${field}`
      return [{ key: field, reason: `is given by {${field}} in the topic as well`, cure }]
    }
    if (placed || constant) return []
    const cure = `Put {${field}} into the topic, or give the route a constant: ${field}: name`
    return [{ key: 'topic', reason: `yields no ${field}`, cure }]
  })
}

/** Whether every topic that `later` takes is already taken by `earlier`. */
export function shadows(earlier: readonly Level[], later: readonly Level[]): boolean {
  if (earlier.length !== later.length) return false
  return earlier.every((level, i) => {
    const other = later[i]!
    return 'field' in level || ('text' in other && other.text === level.text)
  })
}
