import type { Route } from '../../config/config.ts'
import {
  type LocationField,
  locationFault,
  locationFields,
  parseTopicPattern,
  routeFaults,
  type TopicLevel,
} from '../../config/syntax/routes.ts'
import { fillTemplate, parseTemplate, type TemplateSegment } from '../../config/syntax/templates.ts'

/** The route of a topic, and the site, zone and device that the route finds in the topic. */
export type MessageOrigin = { readonly route: Route } & {
  readonly [field in LocationField]: string
}

/** The origin of a message, or the reason why the message becomes a dead letter. */
export type RoutingResult = MessageOrigin | { readonly reason: string }

/**
 * Limits of the cache of origins: the number of topics, and the number of characters in these
 * topics. A full cache is emptied.
 */
const cacheLimits = { maxTopics: 100_000, maxCharacters: 16_000_000 }

const noRoute: RoutingResult = Object.freeze({ reason: 'no route matches topic' })

type CompiledRoute = {
  route: Route
  levels: TopicLevel[]
  /** The index of the topic level of each placeholder. */
  levelOf: ReadonlyMap<string, number>
  segments: Record<LocationField, TemplateSegment[]>
}

/**
 * Returns the function that finds the origin of a topic. The first route that matches decides: when
 * the site, zone or device is invalid (locationFault), the result is a reason, and the next route
 * is not tried. Equal topics share one result object. Throws if a route is malformed; loadConfig
 * refuses such a route earlier.
 */
export function compileRoutes(
  routes: readonly Route[],
  { maxTopics, maxCharacters } = cacheLimits,
): (topic: string) => RoutingResult {
  const compiled = routes.map(compile)
  const deepest = Math.max(0, ...compiled.map(({ levels }) => levels.length))
  const origins = new Map<string, MessageOrigin>()
  let characters = 0

  return topic => {
    const cached = origins.get(topic)
    if (cached) return cached
    // The split stops one level after the levels of the longest route. A topic with very many
    // levels then costs little, and its extra level still keeps it from matching a shorter route.
    const texts = topic.split('/', deepest + 1)
    const route = compiled.find(({ levels }) => matches(levels, texts))
    const result = route ? originOf(route, texts) : noRoute
    // Topics without an origin are not cached, because their number is unlimited.
    if ('reason' in result) return result
    if (origins.size >= maxTopics || characters + topic.length > maxCharacters) {
      origins.clear()
      characters = 0
    }
    origins.set(topic, result)
    characters += topic.length
    return result
  }
}

function compile(route: Route): CompiledRoute {
  const [fault] = routeFaults(route)
  if (fault) throw new Error(`${fault.key} of route ${route.topic} ${fault.reason}`)
  const { levels } = parseTopicPattern(route.topic)
  const levelOf = new Map(
    levels.flatMap((level, index) => ('name' in level ? [[level.name, index]] : [])),
  )
  const segmentsOf = (field: LocationField) => parseTemplate(route[field] ?? `{${field}}`).segments
  const segments = {
    site: segmentsOf('site'),
    zone: segmentsOf('zone'),
    device: segmentsOf('device'),
  }
  return { route, levels, levelOf, segments }
}

function matches(levels: readonly TopicLevel[], texts: readonly string[]): boolean {
  if (levels.length !== texts.length) return false
  return levels.every((level, i) => 'name' in level || level.text === texts[i])
}

function originOf(
  { route, levelOf, segments }: CompiledRoute,
  texts: readonly string[],
): RoutingResult {
  for (const [name, index] of levelOf) {
    const fault = locationFault(texts[index]!)
    if (fault) return { reason: `${name} ${fault}` }
  }
  const textOf = (name: string) => texts[levelOf.get(name)!]!
  const origin = {
    route,
    site: fillTemplate(segments.site, textOf),
    zone: fillTemplate(segments.zone, textOf),
    device: fillTemplate(segments.device, textOf),
  }
  for (const field of locationFields) {
    // Each text is valid, but the text that the template makes of them may be too long.
    const fault = segments[field].length > 1 && locationFault(origin[field])
    if (fault) return { reason: `${field} ${fault}` }
  }
  return Object.freeze(origin)
}
