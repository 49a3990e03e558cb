/**
 * The window sizes that analytics stores, shortest first. The configuration, the state, the timers,
 * late readings and the read API derive from this table, so adding a size is one line:
 * `'1w': { ms: 604_800_000, builtFrom: '1d' }`. `builtFrom` names the shorter size whose windows
 * merge into windows of this size; `ms` is a multiple of that size's `ms`. Several sizes may be
 * built from the same size. The shortest size is built from readings. The time zone of a site
 * decides where windows begin (model/calendar.ts of analytics). After a change of the table,
 * analytics rebuilds the windows of a stored state from its points.
 */
export const windowSizeTable = {
  '15m': { ms: 900_000, builtFrom: 'readings' },
  '1h': { ms: 3_600_000, builtFrom: '15m' },
  '1d': { ms: 86_400_000, builtFrom: '1h' },
} as const
