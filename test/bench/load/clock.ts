const originUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000

/**
 * Microseconds of the monotonic clock that all processes of this machine share, plus 10^15, so that
 * the number has 16 digits. Times of different processes can be compared.
 */
export function sharedClockUs(): number {
  return 1e15 + originUs + performance.now() * 1000
}
