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

/** Where a message comes from, or why no place could be found: the reason to bury it with. */
export type RoutingResult = MessageOrigin | { readonly reason: string }
export type MessageOrigin = { readonly route: Route } & {
  readonly [field in LocationField]: string
}

/** How much is remembered: topics, and characters in them. Beyond, all is forgotten at once. */
const remembered = { maxTopics: 100_000, maxCharacters: 16_000_000 }

const noRoute: RoutingResult = Object.freeze({ reason: 'no route matches topic' })

type Compiled = {
  route: Route
  levels: TopicLevel[]
  /** Where in the topic each of its placeholders stands. */
  levelOf: ReadonlyMap<string, number>
  pieces: Record<LocationField, TemplateSegment[]>
}

/**
 * Gives the function that finds the place of a topic. The first route that matches wins; a place
 * that it cannot use (placeFault) is a reason, not a try with the next route. Results are shared
 * between equal topics. Throws if a route is malformed: loadConfig lets none through.
 */
export function compileRoutes(
  routes: readonly Route[],
  { maxTopics, maxCharacters } = remembered,
): (topic: string) => RoutingResult {
  const compiled = routes.map(compile)
  const deepest = Math.max(0, ...compiled.map(({ levels }) => levels.length))
  const places = new Map<string, MessageOrigin>()
  let characters = 0

  return topic => {
    const known = places.get(topic)
    if (known) return known
    // One more than any route has, so that a topic of slashes costs no more than a long one.
    const texts = topic.split('/', deepest + 1)
    const found = compiled.find(({ levels }) => matches(levels, texts))
    const routing = found ? placeIn(found, texts) : noRoute
    // Only what leads somewhere is worth remembering: others come in endless variety.
    if ('reason' in routing) return routing
    if (places.size >= maxTopics || characters + topic.length > maxCharacters) {
      places.clear()
      characters = 0
    }
    places.set(topic, routing)
    characters += topic.length
    return routing
  }
}

function compile(route: Route): Compiled {
  const [fault] = routeFaults(route)
  if (fault) throw new Error(`${fault.key} of route ${route.topic} ${fault.reason}`)
  const { levels } = parseTopicPattern(route.topic)
  const levelOf = new Map(
    levels.flatMap((level, at) => ('name' in level ? [[level.name, at]] : [])),
  )
  const piecesOf = (field: LocationField) => parseTemplate(route[field] ?? `{${field}}`).pieces
  const [site, zone, device] = locationFields.map(piecesOf) as [
    TemplateSegment[],
    TemplateSegment[],
    TemplateSegment[],
  ]
  return { route, levels, levelOf, pieces: { site, zone, device } }
}

function matches(levels: readonly TopicLevel[], texts: readonly string[]): boolean {
  if (levels.length !== texts.length) return false
  return levels.every((level, i) => 'name' in level || level.text === texts[i])
}

function placeIn({ route, levelOf, pieces }: Compiled, texts: readonly string[]): RoutingResult {
  for (const [name, at] of levelOf) {
    const fault = locationFault(texts[at]!)
    if (fault) return { reason: `${name} ${fault}` }
  }
  const textOf = (name: string) => texts[levelOf.get(name)!]!
  const place = {
    route,
    site: fillTemplate(pieces.site, textOf),
    zone: fillTemplate(pieces.zone, textOf),
    device: fillTemplate(pieces.device, textOf),
  }
  for (const field of locationFields) {
    // Texts that are right alone can be too long together.
    const fault = pieces[field].length > 1 && locationFault(place[field])
    if (fault) return { reason: `${field} ${fault}` }
  }
  return Object.freeze(place)
}
