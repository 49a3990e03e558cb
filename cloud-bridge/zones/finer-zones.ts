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
 * The cure for a hot zone: the routes to write, which split the zone into finer zones. They are
 * derived from the routes that yield the zone now.
 */
export function finerZonesCure(load: ZoneLoad, routes: readonly Route[]): string {
  const parts = partsNeeded(load)
  const rules = routes.flatMap((route, index) => {
    const finer = finerRoute(route, load.zone, parts)
    if (!finer) return []
    const { levels } = parseTopicPattern(finer.route.topic)
    const isShadowing = ({ topic }: Route) => shadows(parseTopicPattern(topic).levels, levels)
    if (routes.slice(0, index).some(isShadowing)) return []
    return [`${finer.where} ingest.routes[${index}] write - ${yaml(finer.route)}`]
  })
  if (rules.length > 0) {
    return `Give it finer zones: ${rules.join('; ')}, and start the gateway again`
  }
  return 'No route can split the zone by its devices: find the device that sends so much'
}

/**
 * Into how many parts (`z7/0`, `z7/1`, …) a zone must be split so that the parts in the fullest
 * partition together have at most three quarters of `shareMax`. When no number up to 64 achieves
 * this, the number up to 64 with the smallest share.
 */
export function partsNeeded(load: ZoneLoad): number {
  const { zone, partitions } = load
  const [share, goal] = [largestShare(load), 0.75 * shareMax(partitions)]
  const partsInPartition = new Map<number, number>()
  let [mostParts, best] = [0, { parts: 2, share: Number.POSITIVE_INFINITY }]
  for (let parts = 1; parts <= PARTS_MAX; parts++) {
    const partition = partitionOf(Buffer.from(`${zone}/${parts - 1}`), partitions)
    partsInPartition.set(partition, (partsInPartition.get(partition) ?? 0) + 1)
    mostParts = Math.max(mostParts, partsInPartition.get(partition)!)
    const fullestShare = (share * mostParts) / parts
    if (parts > 1 && fullestShare < best.share) best = { parts, share: fullestShare }
    if (best.share <= goal) break
  }
  return best.parts
}

type FinerRoute = { where: 'before' | 'instead of'; route: Route }

/**
 * The route that splits a zone which `route` yields; null if `route` does not yield the zone, or if
 * the zone cannot be split by device.
 */
function finerRoute(route: Route, zone: string, parts: number): FinerRoute | null {
  const { segments } = parseTemplate(route.zone ?? '{zone}')
  const names = segments.flatMap(segment =>
    'name' in segment && segment.parts === null ? segment.name : [],
  )
  if (!yieldsZone(segments, zone) || names.includes('device')) return null
  const [level] = segments.length === 1 ? names : []
  const finer: FinerRoute =
    level === undefined
      ? { where: 'instead of', route: { ...route, zone: finerTemplate(segments, parts) } }
      : { where: 'before', route: routeOfZone(route, level, zone, parts) }
  const isValid = routeFaults(finer.route).length === 0 && !locationFault(finer.route.zone!)
  return isValid ? finer : null
}

/** A route for only those topics in which the level with this name contains the zone. */
function routeOfZone(route: Route, name: string, zone: string, parts: number): Route {
  const topic = route.topic.replace(`{${name}}`, () => zone)
  return { ...route, topic, zone: `${zone}/{device%${parts}}` }
}

/** Multiplies the number of parts where the template splits already; otherwise splits by device. */
function finerTemplate(segments: readonly TemplateSegment[], parts: number): string {
  const isSplit = segments.some(segment => 'name' in segment && segment.parts !== null)
  const texts = segments.map(segment => {
    if ('text' in segment) return segment.text
    if (segment.parts === null) return `{${segment.name}}`
    return `{${segment.name}%${Math.min(partsMax, segment.parts * parts)}}`
  })
  return `${texts.join('')}${isSplit ? '' : `/{device%${parts}}`}`
}

function yieldsZone(segments: readonly TemplateSegment[], zone: string): boolean {
  const expressions = segments.map(segment => {
    if ('text' in segment) return segment.text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    return segment.parts === null ? '[^/]+' : '\\d+'
  })
  return new RegExp(`^${expressions.join('')}$`).test(zone)
}

/** A route as one line of YAML. */
function yaml(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `'${String(value).replaceAll("'", "''")}'`
  const entries = Object.entries(value).map(([key, entry]) => `${key}: ${yaml(entry)}`)
  return `{ ${entries.join(', ')} }`
}
