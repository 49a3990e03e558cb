import { keysWithPrefix, partsOf } from '../state/row-keys.ts'
import type { PartitionState } from '../state/state.ts'
import {
  type DeviceName,
  deviceKey,
  type SeriesAttributes,
  type SeriesName,
} from './model/series.ts'

/** The attributes of all series of a partition. */
export class SeriesCatalogue {
  readonly #byDevice = new Map<string, Map<string, SeriesAttributes>>()
  #count = 0

  static async read(state: Pick<PartitionState, 'range'>): Promise<SeriesCatalogue> {
    const catalogue = new SeriesCatalogue()
    for (const { key, value } of await state.range(keysWithPrefix('series'))) {
      catalogue.add(seriesNameIn(key), JSON.parse(value.toString()))
    }
    return catalogue
  }

  /** The number of series. */
  get count(): number {
    return this.#count
  }

  /** The attributes of a device's series, by metric; undefined for an unknown device. */
  ofDevice(name: DeviceName): ReadonlyMap<string, SeriesAttributes> | undefined {
    return this.#byDevice.get(deviceKey(name))
  }

  /** All devices with the attributes of their series. */
  *devices(): Generator<{ name: DeviceName; metrics: ReadonlyMap<string, SeriesAttributes> }> {
    for (const [key, metrics] of this.#byDevice) {
      const [site, zone, device] = partsOf(key)
      yield { name: { site: site!, zone: zone!, device: device! }, metrics }
    }
  }

  /** Adds a series that is not in the catalogue. */
  add(name: SeriesName, attributes: SeriesAttributes): void {
    const key = deviceKey(name)
    const metrics = this.#byDevice.get(key) ?? new Map<string, SeriesAttributes>()
    this.#byDevice.set(key, metrics)
    metrics.set(name.metric, attributes)
    this.#count++
  }
}

/** The name of a series in the key of its row. */
export function seriesNameIn(key: string): SeriesName {
  const [, site, zone, device, metric] = partsOf(key) as [string, ...string[]]
  return { site: site!, zone: zone!, device: device!, metric: metric! }
}
