/**
 * The window sizes that analytics stores, shortest first. The configuration, the state, the timers,
 * late readings and the read API derive from this table, so adding a size is one line:
 * `'1w': { ms: 604_800_000, builtFrom: '1d' }`. `builtFrom` names the shorter size whose windows
 * merge into windows of this size; `ms` is a multiple of that size's `ms`. Several sizes may be
 * built from the same size. The shortest size is built from readings. Windows begin at multiples of
 * `ms` since 1970 in UTC.
 *
 * Never change `builtFrom` of an existing size, because stored states have no windows of a size
 * added between two others. Rebuild the state of analytics after adding a size
 * (`./sluice consume analytics --from beginning`): otherwise a late reading for a time before the
 * addition makes a window of the new size that contains only late readings.
 */
export const windowSizeTable = {
  '15m': { ms: 900_000, builtFrom: 'readings' },
  '1h': { ms: 3_600_000, builtFrom: '15m' },
  '1d': { ms: 86_400_000, builtFrom: '1h' },
} as const
