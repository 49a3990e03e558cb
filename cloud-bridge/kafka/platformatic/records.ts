import type { ReadRecord } from '../../ports/event-stream.ts'
import type { KafkaRecord, RecordsBatch } from './internals.ts'

/** Attribute bits of a record batch (https://kafka.apache.org/documentation/#recordbatch). */
const LOG_APPEND_TIME = 1 << 3
const CONTROL = 1 << 5

/** The records of a batch that have a value, in order. Kafka's own control batches have none. */
export function decodeRecords(batch: RecordsBatch, partition: number): ReadRecord[] {
  if (batch.attributes & CONTROL) return []
  const hasAppendTime = (batch.attributes & LOG_APPEND_TIME) !== 0
  return batch.records.flatMap(({ offsetDelta, timestampDelta, key, value, headers }) => {
    if (value === null) return []
    const offset = Number(batch.firstOffset) + offsetDelta
    const sentAt = batch.firstTimestamp + timestampDelta
    const appendTimeMs = Number(hasAppendTime ? batch.maxTimestamp : sentAt)
    return [{ partition, offset, appendTimeMs, key, value, headers: decodeHeaders(headers) }]
  })
}

/** The offset after a batch. Compaction may have removed the batch's last records. */
export function endOffsetOf({ firstOffset, lastOffsetDelta }: RecordsBatch): number {
  return Number(firstOffset) + lastOffsetDelta + 1
}

function decodeHeaders(headers: KafkaRecord['headers']): Record<string, Buffer> {
  const withValue = headers.filter((header): header is [Buffer, Buffer] => header[1] !== null)
  return Object.fromEntries(withValue.map(([name, value]) => [name.toString(), value]))
}
