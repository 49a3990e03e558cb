const originUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000

/**
 * Microseconds on the monotonic clock that all processes of this machine share, plus 10^15: so it
 * has 16 digits, and a moment noted by one process can be compared with that of another.
 */
export function sharedClockUs(): number {
  return 1e15 + originUs + performance.now() * 1000
}
