import type { Config } from '../../config/config.ts'
import { formatBytes } from '../../config/process/text-format.ts'
import { NOTE_MAX_BYTES } from '../../gateway/store/notes/note-size.ts'
import type { LargestRecords } from '../../gateway/store/read/largest-records.ts'
import { type KafkaOptions, NoSuchTopic, type TopicAdmin } from '../kafka/client.ts'
import { formatDuration, retentionFault } from '../kafka/topic-retention.ts'
import type { TopicConfig, TopicSettings } from '../kafka/topic-settings.ts'
import { type Finding, fault, ok, splitCure, warning } from './finding.ts'

const SHORT_RETENTION_MS = 86_400_000

/** The settings that the topics must satisfy. */
export type TopicExpectations = {
  topics: Config['kafka']['topics']
  partitions: number | null
  /** The number of partitions that zones are spread over; null before the first contact. */
  spreadOver: number | null
  payloadMaxBytes: number
  packetMaxBytes: number
  /** The largest records that wait in the outbox. */
  largest: LargestRecords
  /** How far the clock of this machine is known to be behind, in ms. */
  lagMs: number
}
type TopicKey = keyof TopicExpectations['topics']

/** The settings of each topic, or why they are unknown. */
export type TopicAnswers = Record<TopicKey, TopicSettings | Error>

/** Never rejects: an answer may be an error. */
export async function readTopicSettings<Key extends string>(
  names: Readonly<Record<Key, string>>,
  topics: TopicAdmin,
): Promise<Record<Key, TopicSettings | Error>> {
  const settingsOf = (topic: string) => topics.settingsOf(topic).catch((error: Error) => error)
  const answers = (Object.entries(names) as [Key, string][]).map(
    async ([key, name]) => [key, await settingsOf(name)] as const,
  )
  return Object.fromEntries(await Promise.all(answers)) as Record<Key, TopicSettings | Error>
}

/** The faults and warnings of each topic; a topic without a fault begins with its summary. */
export function topicFindings(expected: TopicExpectations, answers: TopicAnswers): Finding[] {
  const keys = Object.keys(expected.topics) as TopicKey[]
  return keys.flatMap(key => {
    const subject = `topic ${expected.topics[key]}`
    const settings = answers[key]
    if (settings instanceof NoSuchTopic) {
      const cure = 'Create it as an administrator: ./sluice doctor --create-topics'
      return [fault(subject, `does not exist (kafka.topics.${key})`, cure)]
    }
    if (settings instanceof Error) {
      return [fault(subject, ...splitCure(settings.message, 'See docs/security.md'))]
    }
    const findings = [
      ...partitionFaults(subject, key, settings.partitions, expected, answers),
      ...configFindings(subject, key, settings, expected),
      ...(key === 'ledger' ? ledgerRetentionFindings(subject, settings, expected, answers) : []),
    ]
    const hasFault = findings.some(({ status }) => status === 'fault')
    return hasFault ? findings : [ok(subject, topicSummary(settings)), ...findings]
  })
}

function partitionFaults(
  subject: string,
  key: TopicKey,
  count: number,
  { partitions, spreadOver, topics }: TopicExpectations,
  { readings }: TopicAnswers,
): Finding[] {
  const cure = (needed: number) =>
    `kafka-topics.sh --alter --topic ${topics[key]} --partitions ${needed}`
  // kafka.partitions applies only at the first contact with Kafka.
  const required = spreadOver ?? partitions
  if (key === 'readings' && required !== null && count < required) {
    const source = spreadOver === null ? 'kafka.partitions is' : 'zones are spread over'
    return [fault(subject, `${count} partitions, but ${source} ${required}`, cure(required))]
  }
  const needed = required ?? (readings instanceof Error ? 0 : readings.partitions)
  if (key === 'backfill' && count < needed) {
    const value = `${count} partitions, but readings are spread over ${needed}`
    return [fault(subject, value, cure(needed))]
  }
  return []
}

/** The ledger proves readings only while Kafka has the notes of their runs. */
function ledgerRetentionFindings(
  subject: string,
  { config }: TopicSettings,
  { topics }: TopicExpectations,
  answers: TopicAnswers,
): Finding[] {
  if (config === 'not allowed') return []
  const keptMs = [answers.readings, answers.backfill].flatMap(answer =>
    answer instanceof Error || answer.config === 'not allowed'
      ? []
      : [answer.config.retentionMs ?? Number.POSITIVE_INFINITY],
  )
  const neededMs = Math.max(0, ...keptMs)
  if ((config.retentionMs ?? Number.POSITIVE_INFINITY) >= neededMs) return []
  const isLimited = Number.isFinite(neededMs)
  const needed = isLimited ? `for ${formatDuration(neededMs)}` : 'without limit'
  const kept = `keeps notes for ${formatDuration(config.retentionMs!)}`
  const cure = setting(topics.ledger, `retention.ms=${isLimited ? neededMs : -1}`)
  return [warning(subject, `${kept}, but Kafka keeps readings ${needed}`, cure)]
}

/** The command that sets a configuration entry of a topic. */
const setting = (topic: string, entry: string) =>
  `kafka-configs.sh --alter --entity-type topics --entity-name ${topic} --add-config ${entry}`

function configFindings(
  subject: string,
  key: TopicKey,
  { config, replicas }: TopicSettings,
  expected: TopicExpectations,
): Finding[] {
  if (config === 'not allowed') {
    return [...replicaFindings(subject, replicas, null), configUnknown(subject)]
  }
  const topic = expected.topics[key]
  const findings = replicaFindings(subject, replicas, config.minInsyncReplicas)
  const set = (entry: string) => setting(topic, entry)
  const retention = retentionFault(topic, config, expected.lagMs)
  if (retention) {
    const [value = '', ...cure] = retention.slice(topic.length + 1).split('. ')
    findings.push(fault(subject, value, cure.join('. ')))
  } else if (config.timestampType === 'CreateTime') {
    const value = "keeps records by the sender's time (CreateTime)"
    findings.push(warning(subject, value, set('message.timestamp.type=LogAppendTime')))
  }
  if (config.retentionMs !== null && config.retentionMs < SHORT_RETENTION_MS) {
    const value = `keeps records for only ${formatDuration(config.retentionMs)}`
    findings.push(warning(subject, value, set('retention.ms=604800000')))
  }
  const largest = largestRecordBytes(key, expected)
  if (config.maxMessageBytes < largest) {
    const limit = `accepts at most ${formatBytes(config.maxMessageBytes)}`
    const value = `${limit}, but its records may have ${formatBytes(largest)}`
    findings.push(warning(subject, value, set(`max.message.bytes=${largest}`)))
  }
  return findings
}

/**
 * The largest record of a topic, in bytes before compression: of those that the configuration
 * allows, and of those that wait.
 */
function largestRecordBytes(
  key: TopicKey,
  { payloadMaxBytes, packetMaxBytes, largest }: TopicExpectations,
): number {
  if (key === 'ledger') return Math.max(NOTE_MAX_BYTES, largest.note)
  if (key !== 'deadletters') return Math.max(payloadMaxBytes, largest.event)
  // A dead letter holds the bytes of a complete packet, in base64.
  return Math.max(Math.ceil((packetMaxBytes * 4) / 3), largest.deadLetter)
}

function replicaFindings(
  subject: string,
  replicas: number,
  minInsyncReplicas: number | null,
): Finding[] {
  if (minInsyncReplicas !== null && minInsyncReplicas > replicas) {
    const count = `${replicas} replica${replicas === 1 ? '' : 's'}`
    const value = `accepts nothing: min.insync.replicas is ${minInsyncReplicas}, with ${count}`
    return [fault(subject, value, 'Lower min.insync.replicas, or add replicas')]
  }
  if (replicas === 1) {
    const value = 'one replica: records are lost with the disk of one broker'
    return [warning(subject, value, 'Use three replicas')]
  }
  if (minInsyncReplicas !== 1) return []
  const value = 'a record counts as stored on one broker (min.insync.replicas is 1)'
  return [warning(subject, value, 'Set min.insync.replicas to 2')]
}

function configUnknown(subject: string): Finding {
  const value = 'its retention cannot be read'
  return warning(subject, value, 'Grant DescribeConfigs on it: docs/security.md')
}

/** The settings of a topic in a few words. */
export function topicSummary({ partitions, replicas, config }: TopicSettings): string {
  const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`
  const shape = `${plural(partitions, 'partition')}, ${plural(replicas, 'replica')}`
  return config === 'not allowed' ? shape : `${shape}, ${retentionSummary(config)}`
}

function retentionSummary(config: TopicConfig): string {
  const { timestampType, retentionMs, retentionBytes, cleanupPolicy } = config
  // Kafka then ignores both retentions, and keeps the newest record of each key.
  if (cleanupPolicy === 'compact') return `${timestampType}, compacted`
  const duration = retentionMs === null ? 'without limit' : `for ${formatDuration(retentionMs)}`
  const size = retentionBytes === null ? '' : `, at most ${formatBytes(retentionBytes)} a partition`
  return `${timestampType}, kept ${duration}${size}`
}

/** Whether the bridge may write to its topics, as Kafka reports the rights; writes nothing. */
export async function writeRightFindings(
  kafka: KafkaOptions,
  topics: readonly string[],
): Promise<Finding[]> {
  // Imported here, because the bridge loads only the configured client library.
  const { fetchWriteRights } = await import('../kafka/platformatic/rights.ts')
  const rights = await fetchWriteRights(kafka, topics)
  const denied = topics.filter(topic => rights.get(topic) === false)
  // The topic findings cover topics that do not exist or are not visible.
  if (denied.length === 0) {
    const granted = `granted, to ${[...rights.keys()].join(', ')}`
    return rights.size === 0 ? [] : [ok('right to write', granted)]
  }
  return denied.map(topic =>
    fault(
      `right to write to ${topic}`,
      'not granted',
      `kafka-acls.sh --add --operation Write --topic ${topic} --allow-principal User:… (docs/security.md)`,
    ),
  )
}
