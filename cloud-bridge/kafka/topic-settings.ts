/** The part of a topic's configuration that decides what is accepted and kept; null: no limit. */
export type TopicConfig = {
  /** The time that retention counts from: CreateTime is the sender's, LogAppendTime is Kafka's. */
  timestampType: string
  retentionMs: number | null
  /** Bytes per partition. */
  retentionBytes: number | null
  /** `delete`, `compact` or both, separated by a comma. */
  cleanupPolicy: string
  /** Bytes per batch, after compression. */
  maxMessageBytes: number
  minInsyncReplicas: number
}

export type TopicSettings = {
  partitions: number
  /** The smallest number of replicas of any partition. */
  replicas: number
  /** Reading the configuration needs the right DESCRIBE_CONFIGS. */
  config: TopicConfig | 'not allowed'
}

const configNames = {
  timestampType: 'message.timestamp.type',
  retentionMs: 'retention.ms',
  retentionBytes: 'retention.bytes',
  cleanupPolicy: 'cleanup.policy',
  maxMessageBytes: 'max.message.bytes',
  minInsyncReplicas: 'min.insync.replicas',
} satisfies Record<keyof TopicConfig, string>

/** Kafka's names of the entries in a TopicConfig. */
export const topicConfigNames: readonly string[] = Object.values(configNames)

/** Parses configuration entries, Kafka's names to Kafka's texts. */
export function parseTopicConfig(entries: ReadonlyMap<string, string>): TopicConfig {
  const text = (key: keyof TopicConfig) => entries.get(configNames[key]) ?? ''
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

type TopicPolicy = { isCompacted?: boolean; isKept?: boolean }

/** The configuration of topics that this program creates; see TopicAdmin.create for the reason. */
export function newTopicConfigEntries({ isCompacted = false, isKept = false }: TopicPolicy) {
  const appendTime = { name: configNames.timestampType, value: 'LogAppendTime' }
  const compaction = { name: configNames.cleanupPolicy, value: 'compact' }
  const kept = { name: configNames.retentionMs, value: '-1' }
  return [appendTime, ...(isCompacted ? [compaction] : []), ...(isKept ? [kept] : [])]
}
