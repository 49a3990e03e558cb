/** A batch size that acknowledgements do not change. */
export function fixedSize(limits: { batchMaxEvents: number; batchMaxBytes: number }) {
  const { batchMaxEvents: maxEvents, batchMaxBytes: maxBytes } = limits
  return { maxEvents, maxBytes, acknowledged() {} }
}
