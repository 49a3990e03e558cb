import type { Route } from '../../config/config.ts'
import { partitionOf } from '../../config/event/partitioner.ts'
import {
  locationFault,
  parseTopicPattern,
  routeFaults,
  shadows,
} from '../../config/syntax/routes.ts'
import { parseTemplate, partsMax, type TemplateSegment } from '../../config/syntax/templates.ts'
import { largestShare, shareMax, type ZoneLoad } from './hot-zones.ts'

const PARTS_MAX = 64

/**
 * What to do about a zone that takes too much: the very routes to write, by which it gets finer
 * zones, made of the routes that its events come by now.
 */
export function finerZonesCure(taking: ZoneLoad, routes: readonly Route[]): string {
  const parts = partsNeeded(taking)
  const rules = routes.flatMap((route, at) => {
    const finer = finerRoute(route, taking.zone, parts)
    if (!finer) return []
    const { levels } = parseTopicPattern(finer.route.topic)
    const isTaken = ({ topic }: Route) => shadows(parseTopicPattern(topic).levels, levels)
    if (routes.slice(0, at).some(isTaken)) return []
    return [`${finer.where} ingest.routes[${at}] write - ${yaml(finer.route)}`]
  })
  if (rules.length > 0) {
    return `Give it finer zones: ${rules.join('; ')}, and start the gateway again`
  }
  return 'No route can split it by its devices: look at which device sends so much'
}

/**
 * Into how many parts (`z7/0`, `z7/1`, …) a zone must be split so that those which meet in one
 * partition take no more than three quarters of what would be too much; at most 64, and then what
 * is best of them.
 */
export function partsNeeded(taking: ZoneLoad): number {
  const { zone, partitions } = taking
  const [share, most] = [largestShare(taking), 0.75 * shareMax(partitions)]
  const meeting = new Map<number, number>()
  let [fullest, best] = [0, { parts: 2, fullest: Number.POSITIVE_INFINITY }]
  for (let parts = 1; parts <= PARTS_MAX; parts++) {
    const partition = partitionOf(Buffer.from(`${zone}/${parts - 1}`), partitions)
    meeting.set(partition, (meeting.get(partition) ?? 0) + 1)
    fullest = Math.max(fullest, meeting.get(partition)!)
    const taken = (share * fullest) / parts
    if (parts > 1 && taken < best.fullest) best = { parts, fullest: taken }
    if (best.fullest <= most) break
  }
  return best.parts
}

type Finer = { where: 'before' | 'instead of'; route: Route }

/** The route by which a zone is split that this route yields; null if it does not, or cannot be. */
function finerRoute(route: Route, zone: string, parts: number): Finer | null {
  const { pieces } = parseTemplate(route.zone ?? '{zone}')
  const whole = pieces.flatMap(piece => ('name' in piece && piece.parts === null ? piece.name : []))
  if (!yields(pieces, zone) || whole.includes('device')) return null
  const [level] = pieces.length === 1 ? whole : []
  const finer: Finer =
    level === undefined
      ? { where: 'instead of', route: { ...route, zone: finerTemplate(pieces, parts) } }
      : { where: 'before', route: onlyZone(route, level, zone, parts) }
  const isRight = routeFaults(finer.route).length === 0 && !locationFault(finer.route.zone!)
  return isRight ? finer : null
}

/** A route for the topics alone in which the level of this name is the zone. */
function onlyZone(route: Route, name: string, zone: string, parts: number): Route {
  const topic = route.topic.replace(`{${name}}`, () => zone)
  return { ...route, topic, zone: `${zone}/{device%${parts}}` }
}

/** More parts where there are parts, otherwise parts of the devices. */
function finerTemplate(pieces: readonly TemplateSegment[], parts: number): string {
  const isSplit = pieces.some(piece => 'name' in piece && piece.parts !== null)
  const texts = pieces.map(piece => {
    if ('text' in piece) return piece.text
    if (piece.parts === null) return `{${piece.name}}`
    return `{${piece.name}%${Math.min(partsMax, piece.parts * parts)}}`
  })
  return `${texts.join('')}${isSplit ? '' : `/{device%${parts}}`}`
}

function yields(pieces: readonly TemplateSegment[], zone: string): boolean {
  const expressions = pieces.map(piece => {
    if ('text' in piece) return piece.text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    return piece.parts === null ? '[^/]+' : '\\d+'
  })
  return new RegExp(`^${expressions.join('')}$`).test(zone)
}

/** A route as one line of YAML. */
function yaml(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `'${String(value).replaceAll("'", "''")}'`
  const entries = Object.entries(value).map(([key, one]) => `${key}: ${yaml(one)}`)
  return `{ ${entries.join(', ')} }`
}
