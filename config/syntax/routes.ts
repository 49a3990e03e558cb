import { invisibleCharacter } from './invisible-characters.ts'
import { parseTemplate } from './templates.ts'

/** What a route must find for a message, so that the message can become an event. */
export const locationFields = ['site', 'zone', 'device'] as const
export type LocationField = (typeof locationFields)[number]

/**
 * The largest length of a site, zone or device, in UTF-16 units. The length is limited because
 * every event and every header contains all three.
 */
export const locationMaxLength = 128

/** The lane of routes that do not name a lane. */
export const standardLane = 'standard'
/** The largest number of lanes, the standard lane included. */
export const lanesMax = 8

/**
 * One level of a route's topic. The level matches exactly this text, or it matches any text, which
 * then has this name.
 */
export type TopicLevel = { text: string } | { name: string }

/** A fault of a route: the key, the reason, and the cure. */
export type RouteFault = { key: 'topic' | LocationField; reason: string; cure: string }

const PLACEHOLDER_CURE =
  'The placeholders are {site}, {zone} and {device}, each at most once, ' +
  'and others that site, zone or device of the route use'

/**
 * Returns why a site, zone or device is invalid, as the end of a sentence ("is empty"); undefined
 * if the text is valid. U+FFFD is invalid, because it replaces bytes that are not UTF-8.
 */
export function locationFault(text: string): string | undefined {
  if (text === '') return 'is empty'
  if (text.length > locationMaxLength) return `is longer than ${locationMaxLength} characters`
  if (/\p{Cc}/u.test(text)) return 'holds a control character'
  const invisible = invisibleCharacter(text)
  if (invisible !== null) return `holds the invisible character ${invisible}`
  if (text.includes('\ufffd') || !text.isWellFormed()) return 'is not valid UTF-8'
  return undefined
}

/**
 * Parses a route's topic: levels separated by '/', each a text or one placeholder such as {zone}.
 * Returns the levels and all faults of the syntax; the levels are usable only when there is no
 * fault.
 */
export function parseTopicPattern(topic: string): { levels: TopicLevel[]; faults: RouteFault[] } {
  const faults: RouteFault[] = []
  const addFault = (reason: string, cure: string) => faults.push({ key: 'topic', reason, cure })
  if (topic === '')
    addFault('is empty', 'Write a topic such as building/{site}/zone/{zone}/{device}')
  if (Buffer.byteLength(topic) > 65535) addFault('is longer than 65535 bytes', 'Shorten it')
  const seen = new Set<string>()
  const levels = topic.split('/').map((level): TopicLevel => {
    const name = /^\{([^{}]*)\}$/.exec(level)?.[1]
    if (name === undefined) {
      const fault = textFault(level)
      if (fault) addFault(...fault)
      return { text: level }
    }
    if (seen.has(name)) addFault(`contains {${name}} twice`, PLACEHOLDER_CURE)
    seen.add(name)
    return { name }
  })
  return { levels, faults }
}

function textFault(level: string): [reason: string, cure: string] | undefined {
  const wildcard = /[+#]/.exec(level)?.[0]
  if (wildcard)
    return [`contains the wildcard ${wildcard}`, `Name the level instead. ${PLACEHOLDER_CURE}`]
  if (/[{}]/.test(level)) {
    return [
      `has a stray brace in the level ${JSON.stringify(level)}`,
      'Write a placeholder as a complete level, between two slashes, as in zone/{zone}/sensor',
    ]
  }
  const fault = level === '' ? undefined : locationFault(level)
  return fault ? [`has a level that ${fault}`, 'Write every level as plain text'] : undefined
}

/**
 * Returns all faults of one route: faults of its topic and of its templates, and every field (site,
 * zone or device) that has no source or two sources. Does not report wrong types, because the
 * schema reports them.
 */
export function routeFaults(route: Record<string, unknown>): RouteFault[] {
  if (typeof route.topic !== 'string') return []
  const { levels, faults } = parseTopicPattern(route.topic)
  if (faults.length > 0) return faults
  const levelNames = levels.flatMap(level => ('name' in level ? level.name : []))
  const templates = locationFields.map(field => checkTemplate(route[field], field, levelNames))
  const templateFaults = templates.flatMap(template => template.faults)
  // A misspelt placeholder is reported once, and its field is not also reported as missing.
  if (templateFaults.length > 0) return templateFaults
  const used = new Set<string>([...locationFields, ...templates.flatMap(({ names }) => names)])
  const unknown = levelNames.filter(name => !used.has(name))
  if (unknown.length > 0) {
    return unknown.map(name => {
      return {
        key: 'topic',
        reason: `contains the unknown placeholder {${name}}`,
        cure: PLACEHOLDER_CURE,
      }
    })
  }
  return locationFields.flatMap((field, index): RouteFault[] => {
    const isInTopic = levelNames.includes(field)
    const isGiven = route[field] !== undefined
    if (isInTopic && isGiven && !templates[index]!.names.includes(field)) {
      const cure = `Keep one of the two, or use the placeholder in ${field}, as in "{${field}}/…"`
      return [{ key: field, reason: `is also given by {${field}} in the topic`, cure }]
    }
    if (isInTopic || isGiven) return []
    const cure = `Put {${field}} into the topic, or give the route a constant: ${field}: name`
    return [{ key: 'topic', reason: `yields no ${field}`, cure }]
  })
}

/**
 * Returns the names of the topic's levels that a field's template uses, and the faults of the
 * template.
 */
function checkTemplate(template: unknown, key: LocationField, levelNames: readonly string[]) {
  if (typeof template !== 'string') return { names: [], faults: [] }
  const { segments, faults } = parseTemplate(template)
  const names = segments.flatMap(segment => ('name' in segment ? segment.name : []))
  const unknownNames = new Set(names.filter(name => !levelNames.includes(name)))
  const known = levelNames.map(name => `{${name}}`).join(', ') || 'no level'
  const cure = `Use a placeholder of the topic (${known}), or name that level of the topic`
  const missing = [...unknownNames].map(name => {
    return { reason: `contains {${name}}, which is not in the topic`, cure }
  })
  return { names, faults: [...faults, ...missing].map(fault => ({ key, ...fault })) }
}

/** Whether the route `earlier` matches every topic that the route `later` matches. */
export function shadows(earlier: readonly TopicLevel[], later: readonly TopicLevel[]): boolean {
  if (earlier.length !== later.length) return false
  return earlier.every((level, index) => {
    const other = later[index]!
    return 'name' in level || ('text' in other && other.text === level.text)
  })
}
