import {
  type Batch,
  type EventSink,
  type Outgoing,
  type Rejection,
  SinkUnavailable,
} from '../../cloud-bridge/forwarder.ts'

/** The smallest EventSink: topics in memory, and the breakdowns that a real one has. */
export type MemorySink = EventSink & {
  readonly topics: Map<string, Outgoing[][]>
  createTopic(topic: string, partitions: number): void
  /** What happens to sends from now on; null: they are delivered. */
  broken: 'nothing arrives' | 'nothing is acknowledged' | null
  /** Every batch that was sent, each time it was. */
  readonly sent: Batch[]
}

/** Values longer than `valueMaxBytes` are rejected. */
export function openMemorySink(valueMaxBytes = Number.POSITIVE_INFINITY): MemorySink {
  const topics = new Map<string, Outgoing[][]>()
  const sent: Batch[] = []
  let unfinished: { batch: Batch; fates: Rejection[] | null } | null = null
  let isSending = false

  const append = ({ topic, records }: Batch): Rejection[] => {
    const partitions = topics.get(topic)
    const stray = records.find(({ partition }) => !partitions?.[partition])
    if (!partitions || stray) throw new SinkUnavailable(`${topic} has no such partition`)
    return records.map(record => {
      if (record.value.length > valueMaxBytes) return 'too large'
      partitions[record.partition]!.push(record)
      return null
    })
  }

  return {
    topics,
    sent,
    broken: null,
    createTopic(topic, partitions) {
      topics.set(
        topic,
        Array.from({ length: partitions }, () => []),
      )
    },
    async send(batch) {
      if (isSending) throw new Error('a second send while one is pending')
      if (unfinished && unfinished.batch !== batch) throw new Error('another batch was sent')
      isSending = true
      sent.push(batch)
      unfinished ??= { batch, fates: null }
      // Not at once, as over a network: whoever does not wait is found out.
      await new Promise(resolve => setImmediate(resolve))
      isSending = false
      if (this.broken === 'nothing arrives') throw new SinkUnavailable('out of reach')
      unfinished.fates ??= append(batch)
      if (this.broken !== null) throw new SinkUnavailable('no acknowledgement')
      const { fates } = unfinished
      unfinished = null
      return fates
    },
  }
}
