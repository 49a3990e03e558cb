import type { KafkaRecord, RecordsBatch } from '@platformatic/kafka'
import type { ReadRecord } from '../../ports/event-stream.ts'

/** Attributes of a batch of records (https://kafka.apache.org/documentation/#recordbatch). */
const LOG_APPEND_TIME = 1 << 3
const CONTROL = 1 << 5

/** The records of a batch that have a value, in order. What Kafka writes for itself is none. */
export function decodeRecords(batch: RecordsBatch, partition: number): ReadRecord[] {
  if (batch.attributes & CONTROL) return []
  const isByKafka = (batch.attributes & LOG_APPEND_TIME) !== 0
  return batch.records.flatMap(({ offsetDelta, timestampDelta, key, value, headers }) => {
    if (value === null) return []
    const offset = Number(batch.firstOffset) + offsetDelta
    const appendTimeMs = Number(
      isByKafka ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta,
    )
    return [{ partition, offset, appendTimeMs, key, value, headers: headersIn(headers) }]
  })
}

/** The offset behind a batch, also when its last records were compacted away. */
export function endOffsetOf({ firstOffset, lastOffsetDelta }: RecordsBatch): number {
  return Number(firstOffset) + lastOffsetDelta + 1
}

function headersIn(headers: KafkaRecord['headers']): Record<string, Buffer> {
  const named = headers.filter((header): header is [Buffer, Buffer] => header[1] !== null)
  return Object.fromEntries(named.map(([name, value]) => [name.toString(), value]))
}
