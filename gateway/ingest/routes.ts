import type { Route } from '../../config/config.ts'
import {
  type Level,
  type PlaceField,
  parsePattern,
  placeFault,
  placeFields,
} from '../../config/routes.ts'

/** Where a message comes from, or why no place could be found: the reason to bury it with. */
export type Routing = Place | { readonly reason: string }
export type Place = { readonly route: Route } & { readonly [field in PlaceField]: string }

/** How much is remembered: topics, and characters in them. Beyond, all is forgotten at once. */
const remembered = { maxTopics: 100_000, maxCharacters: 16_000_000 }

const noRoute: Routing = Object.freeze({ reason: 'no route matches topic' })

type Compiled = { route: Route; levels: Level[]; levelOf: Record<PlaceField, number> }

/**
 * Gives the function that finds the place of a topic. The first route that matches wins; a place
 * that it cannot use (placeFault) is a reason, not a try with the next route. Results are shared
 * between equal topics. Throws if a route's topic is malformed: loadConfig lets none through.
 */
export function compileRoutes(
  routes: readonly Route[],
  { maxTopics, maxCharacters } = remembered,
): (topic: string) => Routing {
  const compiled = routes.map(compile)
  const deepest = Math.max(0, ...compiled.map(({ levels }) => levels.length))
  const places = new Map<string, Place>()
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
  const { levels, faults } = parsePattern(route.topic)
  if (faults.length > 0) throw new Error(`route ${route.topic} ${faults[0]!.reason}`)
  const levelOf = (field: PlaceField) =>
    levels.findIndex(level => 'field' in level && level.field === field)
  const [site, zone, device] = placeFields.map(levelOf) as [number, number, number]
  return { route, levels, levelOf: { site, zone, device } }
}

function matches(levels: readonly Level[], texts: readonly string[]): boolean {
  if (levels.length !== texts.length) return false
  return levels.every((level, i) => 'field' in level || level.text === texts[i])
}

function placeIn({ route, levelOf }: Compiled, texts: readonly string[]): Routing {
  const textOf = (field: PlaceField) => route[field] ?? texts[levelOf[field]] ?? ''
  for (const field of placeFields) {
    const fault = placeFault(textOf(field))
    if (fault) return { reason: `${field} ${fault}` }
  }
  return Object.freeze({
    route,
    site: textOf('site'),
    zone: textOf('zone'),
    device: textOf('device'),
  })
}
