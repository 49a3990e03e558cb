import { keyOf, mulberry32 } from './random.ts'

export type DeviceKind = 'climate' | 'co2' | 'occupancy' | 'energy'

/** A simulated device and its location. The keys address its random draws (random.ts). */
export type Device = {
  site: string
  floor: number
  zone: string
  name: string
  kind: DeviceKind
  key: number
  /** The number of the zone in the plan, from 0: two sites may use the same zone name. */
  zoneIndex: number
  zoneKey: number
}

export type BuildingPlan = {
  seed: number
  /** The number of devices, at least 1. */
  devices: number
  /** The number of sites; by default one site for every 640 zones. */
  sites?: number
}

const siteNames = ['hq', 'annex', 'campus', 'tower', 'works', 'depot', 'clinic', 'school']
const zoneNames = [
  ...['east', 'west', 'north', 'south', 'core', 'northeast', 'northwest', 'southeast'],
  ...['southwest', 'atrium', 'lobby', 'gallery', 'studio', 'kitchen', 'archive', 'terrace'],
]
/** The kinds of devices in a zone, in this order and repeated. */
const kinds: readonly DeviceKind[] = [
  ...(['climate', 'co2', 'occupancy', 'energy'] as const),
  ...(['climate', 'co2', 'occupancy', 'climate'] as const),
]

/** Sizes of zones, 6 to 10 devices each and 8 on average, that add up to the number of devices. */
function zoneSizes(seed: number, devices: number): number[] {
  const draw = mulberry32(seed)
  const sizes: number[] = []
  for (let remaining = devices; remaining > 0; ) {
    const size = Math.min(remaining, 6 + Math.floor(5 * draw()))
    sizes.push(size)
    remaining -= size
  }
  return sizes
}

function devicesOfZone(
  seed: number,
  zone: { site: string; floor: number; zone: string; zoneIndex: number },
  size: number,
): Device[] {
  const countOfKind = new Map<DeviceKind, number>()
  const zoneKey = keyOf(seed, `${zone.site}/${zone.zone}`)
  return Array.from({ length: size }, (_, index) => {
    const kind = kinds[index % kinds.length]!
    const number = (countOfKind.get(kind) ?? 0) + 1
    countOfKind.set(kind, number)
    const name = `${zone.site}-${zone.zone}-${kind}-${number}`
    return { ...zone, name, kind, key: keyOf(seed, name), zoneKey }
  })
}

/**
 * Lays out sites, floors, zones and devices: site `hq`, zone `f3-east`, device `hq-f3-east-co2-2`.
 * The same plan gives the same devices, and no two devices have the same name. A site has floors of
 * 4 zones, or of up to 16 zones when it would otherwise be taller than 20 floors. Throws a
 * RangeError that names the wrong option.
 */
export function planBuilding(plan: BuildingPlan): Device[] {
  if (!Number.isInteger(plan.devices) || plan.devices < 1) {
    throw new RangeError(`devices is ${plan.devices}: give a whole number of at least 1`)
  }
  const sizes = zoneSizes(plan.seed, plan.devices)
  const wantedSites = plan.sites ?? Math.ceil(sizes.length / 640)
  if (!Number.isInteger(wantedSites) || wantedSites < 1) {
    throw new RangeError(`sites is ${wantedSites}: give a whole number of at least 1`)
  }
  const sites = Math.min(wantedSites, sizes.length)
  const zonesPerSite = Math.ceil(sizes.length / sites)
  const zonesPerFloor = Math.min(zoneNames.length, Math.max(4, Math.ceil(zonesPerSite / 20)))
  return sizes.flatMap((size, zoneIndex) => {
    const siteIndex = Math.floor(zoneIndex / zonesPerSite)
    const site = siteNames[siteIndex] ?? `site-${siteIndex + 1}`
    const indexInSite = zoneIndex % zonesPerSite
    const floor = 1 + Math.floor(indexInSite / zonesPerFloor)
    const zone = `f${floor}-${zoneNames[indexInSite % zonesPerFloor]}`
    return devicesOfZone(plan.seed, { site, floor, zone, zoneIndex }, size)
  })
}
