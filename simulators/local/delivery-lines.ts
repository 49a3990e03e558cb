import type { BridgeState } from '../../cloud-bridge/forward/bridge-status.ts'
import { partitionsText } from '../../cloud-bridge/forward/isolated-partitions.ts'
import { includedPartitions } from '../../gateway/store/delivery/zone-filter.ts'
import type { RangeKind } from '../../gateway/store/sequence/delivery-range.ts'

type ReportedRange = BridgeState['ranges'][number]

/**
 * The lines of the live screen for all ranges of the delivery plan except the live one: ranges of
 * an old partition count, backlogs, isolated partitions (`apart`) and replays.
 */
export function deliveryPlanLines({
  ranges,
  kafka,
}: Pick<BridgeState, 'ranges' | 'kafka'>): string[] {
  const rangesOf = (kind: RangeKind) => ranges.filter(range => range.kind === kind)
  const live = rangesOf('live')
  const partitions = live.find(({ end }) => end === null)?.partitions
  const backlogs = rangesOf('backlog').sort((a, b) => a.next - b.next)
  return [
    ...firstRangeLine(
      'moving',
      live.filter(({ end }) => end !== null),
      range => `${numbersText(range)} over ${range.partitions} partitions, then over ${partitions}`,
    ),
    ...firstRangeLine(
      'draining',
      backlogs,
      range => `${numbersText(range)} beside live events, to ${range.topic}`,
    ),
    ...rangesOf('apart').map(range => {
      const name = partitionsText(includedPartitions(range))
      return `${'apart'.padEnd(16)}${name}: #${range.next}, ${kafka[name] ?? 'catching up'}`
    }),
    ...firstRangeLine(
      'replaying',
      rangesOf('replay'),
      range => `${numbersText(range)}, to ${range.topic}`,
    ),
  ]
}

/**
 * One line that shows the first range and the number of further ranges; no line when there is no
 * range.
 */
function firstRangeLine(
  label: string,
  [first, ...others]: ReportedRange[],
  describe: (range: ReportedRange) => string,
): string[] {
  if (!first) return []
  const more = others.length > 0 ? `, and ${others.length} more` : ''
  return [`${label.padEnd(16)}${describe(first)}${more}`]
}

const numbersText = ({ next, end }: ReportedRange) => `#${next} to #${end}`
