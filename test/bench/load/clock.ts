const originUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000

/**
 * Returns microseconds of the monotonic clock that all processes of this machine share, so that
 * times of different processes can be compared. Adds 10^15, so that the number has 16 digits.
 */
export function sharedClockUs(): number {
  return 1e15 + originUs + performance.now() * 1000
}
