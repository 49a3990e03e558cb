import { partitionsText } from '../../cloud-bridge/forward/isolated-partitions.ts'
import type { BridgeState } from '../../cloud-bridge/forward/status.ts'
import { type RangeKind, rangeKind } from '../../gateway/store/delivery/range-kind.ts'
import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'

type Shown = BridgeState['ranges'][number]

/** What the live screen shows of the ranges, besides that live events go. */
export function deliveryPlanLines({
  ranges,
  kafka,
}: Pick<BridgeState, 'ranges' | 'kafka'>): string[] {
  const of = (kind: RangeKind) => ranges.filter(range => rangeKind(range) === kind)
  const line = (word: string, [first, ...others]: Shown[], told: (range: Shown) => string) => {
    if (!first) return []
    const more = others.length > 0 ? `, and ${others.length} more` : ''
    return [`${word.padEnd(16)}${told(first)}${more}`]
  }
  const live = of('live')
  const partitions = live.find(({ end }) => end === null)?.partitions
  const span = ({ next, end }: Shown) => `#${next} to #${end}`
  const backlogs = of('backlog').sort((a, b) => a.next - b.next)
  return [
    ...line(
      'moving',
      live.filter(({ end }) => end !== null),
      range => `${span(range)} over ${range.partitions} partitions, then over ${partitions}`,
    ),
    ...line('draining', backlogs, range => `${span(range)} behind live events, to ${range.topic}`),
    ...of('apart').map(range => {
      const name = partitionsText(includedPartitions(range))
      return `${'apart'.padEnd(16)}${name}: #${range.next}, ${kafka[name] ?? 'catching up'}`
    }),
    ...line('replaying', of('replay'), range => `${span(range)}, to ${range.topic}`),
  ]
}
