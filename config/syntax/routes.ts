import { parseTemplate } from './templates.ts'

/** What a route must know of a message before it can become an event. */
export const locationFields = ['site', 'zone', 'device'] as const
export type LocationField = (typeof locationFields)[number]

/** Longest site, zone or device, in UTF-16 units: they are in every event and every header. */
export const locationMaxLength = 128

/** The lane of what no route puts elsewhere. */
export const standardLane = 'standard'
/** How many lanes there may be, the standard one included. */
export const lanesMax = 8

/** One level of a route's topic: it takes exactly this text, or any text under this name. */
export type TopicLevel = { text: string } | { name: string }

/** What is wrong in a route: at which of its keys, why, and what to do. */
export type RouteFault = { key: 'topic' | LocationField; reason: string; cure: string }

const allowed =
  'The placeholders are {site}, {zone} and {device}, each at most once, ' +
  'and others that site, zone or device of the route are made of'

/**
 * Why a site, zone or device cannot be used, as the end of a sentence ("is empty"); undefined if
 * it can. U+FFFD counts as invalid: it is what remains of bytes that were not UTF-8.
 */
export function locationFault(text: string): string | undefined {
  if (text === '') return 'is empty'
  if (text.length > locationMaxLength) return `is longer than ${locationMaxLength} characters`
  if (/\p{Cc}/u.test(text)) return 'holds a control character'
  if (text.includes('\ufffd') || !text.isWellFormed()) return 'is not valid UTF-8'
  return undefined
}

/**
 * Reads a route's topic: levels parted by '/', each a text or one placeholder such as {zone}.
 * Gives the levels, and every fault of the syntax; with faults the levels are useless.
 */
export function parseTopicPattern(topic: string): { levels: TopicLevel[]; faults: RouteFault[] } {
  const faults: RouteFault[] = []
  const blame = (reason: string, cure: string) => faults.push({ key: 'topic', reason, cure })
  if (topic === '') blame('is empty', 'Write a topic such as building/{site}/zone/{zone}/{device}')
  if (Buffer.byteLength(topic) > 65535) blame('is longer than 65535 bytes', 'Shorten it')
  const seen = new Set<string>()
  const levels = topic.split('/').map((level): TopicLevel => {
    const name = /^\{([^{}]*)\}$/.exec(level)?.[1]
    if (name === undefined) {
      const fault = textFault(level)
      if (fault) blame(...fault)
      return { text: level }
    }
    if (seen.has(name)) blame(`holds {${name}} twice`, allowed)
    seen.add(name)
    return { name }
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
  const fault = level === '' ? undefined : locationFault(level)
  return fault ? [`has a level that ${fault}`, 'Write every level as plain text'] : undefined
}

/**
 * All faults of one route: those of its topic and of what its fields are made of, and every field
 * that comes from nowhere or from two places. Wrong types are left out: the schema reports those.
 */
export function routeFaults(route: Record<string, unknown>): RouteFault[] {
  if (typeof route.topic !== 'string') return []
  const { levels, faults } = parseTopicPattern(route.topic)
  if (faults.length > 0) return faults
  const named = levels.flatMap(level => ('name' in level ? level.name : []))
  const made = locationFields.map(field => madeOf(route[field], field, named))
  const wrong = made.flatMap(one => one.faults)
  // A misspelt placeholder is one fault, not also a missing field.
  if (wrong.length > 0) return wrong
  const used = new Set<string>([...locationFields, ...made.flatMap(one => one.names)])
  const unknown = named.filter(name => !used.has(name))
  if (unknown.length > 0) {
    return unknown.map(name => {
      return { key: 'topic', reason: `holds the unknown placeholder {${name}}`, cure: allowed }
    })
  }
  return locationFields.flatMap((field, at): RouteFault[] => {
    const placed = named.includes(field)
    const given = route[field] !== undefined
    if (placed && given && !made[at]!.names.includes(field)) {
      const cure = `Keep one, or make ${field} of it, as in "{${field}}/…"`
      return [{ key: field, reason: `is given by {${field}} in the topic as well`, cure }]
    }
    if (placed || given) return []
    const cure = `Put {${field}} into the topic, or give the route a constant: ${field}: name`
    return [{ key: 'topic', reason: `yields no ${field}`, cure }]
  })
}

/** Which levels of the topic a field is made of, and what is wrong with that. */
function madeOf(template: unknown, key: LocationField, named: readonly string[]) {
  if (typeof template !== 'string') return { names: [], faults: [] }
  const { segments, faults } = parseTemplate(template)
  const names = segments.flatMap(segment => ('name' in segment ? segment.name : []))
  const strangers = new Set(names.filter(name => !named.includes(name)))
  const there = named.map(name => `{${name}}`).join(', ') || 'no level'
  const cure = `Use what the topic names (${there}), or name that level of the topic`
  const missing = [...strangers].map(name => {
    return { reason: `holds {${name}}, which the topic does not name`, cure }
  })
  return { names, faults: [...faults, ...missing].map(fault => ({ key, ...fault })) }
}

/** Whether every topic that `later` takes is already taken by `earlier`. */
export function shadows(earlier: readonly TopicLevel[], later: readonly TopicLevel[]): boolean {
  if (earlier.length !== later.length) return false
  return earlier.every((level, i) => {
    const other = later[i]!
    return 'name' in level || ('text' in other && other.text === level.text)
  })
}
