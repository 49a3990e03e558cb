const ESCAPED = /[%/]/g

/**
 * Joins names into a key for people and for records of Kafka: `hq/lobby`. In each name, `%` and `/`
 * are percent-encoded, so two lists of names never have one key. `decodeURIComponent` of each part
 * gives the name.
 */
export const nameKey = (...names: readonly string[]): string =>
  names.map(name => name.replace(ESCAPED, encodeURIComponent)).join('/')
