/** Batches of so many events at most, however quickly they are acknowledged. */
export function fixedSize(limits: { batchMaxEvents: number; batchMaxBytes: number }) {
  const { batchMaxEvents: maxEvents, batchMaxBytes: maxBytes } = limits
  return { maxEvents, maxBytes, acknowledged() {} }
}
