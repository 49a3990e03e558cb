/** How long Kafka keeps what is in a topic, and what it takes; null is without limit. */
export type TopicConfig = {
  /** Whose time counts for it: CreateTime is the sender's, LogAppendTime is Kafka's own. */
  timestampType: string
  retentionMs: number | null
  /** Of each partition. */
  retentionBytes: number | null
  /** `delete`, `compact` or both, parted by a comma. */
  cleanupPolicy: string
  /** Of a batch, compressed. */
  maxMessageBytes: number
  minInsyncReplicas: number
}

export type TopicSettings = {
  partitions: number
  /** Copies of the partition that has fewest. */
  replicas: number
  /** Looking at it needs the right DESCRIBE_CONFIGS. */
  keeping: TopicConfig | 'not allowed'
}

const names = {
  timestampType: 'message.timestamp.type',
  retentionMs: 'retention.ms',
  retentionBytes: 'retention.bytes',
  cleanupPolicy: 'cleanup.policy',
  maxMessageBytes: 'max.message.bytes',
  minInsyncReplicas: 'min.insync.replicas',
} satisfies Record<keyof TopicConfig, string>

/** What Kafka calls the settings that are looked at. */
export const topicConfigNames: readonly string[] = Object.values(names)

/** The settings of a topic by the texts that Kafka gives for them. */
export function parseTopicConfig(texts: ReadonlyMap<string, string>): TopicConfig {
  const text = (key: keyof TopicConfig) => texts.get(names[key]) ?? ''
  const limit = (key: keyof TopicConfig) => (Number(text(key)) < 0 ? null : Number(text(key)))
  return {
    timestampType: text('timestampType'),
    retentionMs: limit('retentionMs'),
    retentionBytes: limit('retentionBytes'),
    cleanupPolicy: text('cleanupPolicy'),
    maxMessageBytes: Number(text('maxMessageBytes')),
    minInsyncReplicas: Number(text('minInsyncReplicas')),
  }
}

/**
 * With which settings our topics are created: by Kafka's own time of appending, because by the
 * event's own time Kafka deletes a late backlog at once.
 */
export function newTopicConfigEntries({ isCompacted = false }: { isCompacted?: boolean }) {
  const compacted = [{ name: names.cleanupPolicy, value: 'compact' }]
  return [{ name: names.timestampType, value: 'LogAppendTime' }, ...(isCompacted ? compacted : [])]
}
