import type { Config } from '../../config/config.ts'
import { type KafkaOptions, NoSuchTopic, type TopicAdmin } from '../kafka/client.ts'
import { formatDuration, retentionFault } from '../kafka/topic-retention.ts'
import type { TopicConfig, TopicSettings } from '../kafka/topic-settings.ts'
import { type Finding, fault, ok, splitCure, warn } from './finding.ts'
import { formatBytes } from './stores.ts'

const SHORT_MS = 86_400_000

/** What topics are held against. */
export type TopicExpectations = {
  topics: Config['kafka']['topics']
  partitions: number | null
  /** Over how many zones are spread already; null before the first contact. */
  spreadOver: number | null
  payloadMaxBytes: number
  packetMaxBytes: number
  /** By how much the time of what waits may lie behind Kafka's now. */
  lagMs: number
}
/** How topics are set up, or why nobody can say: NoSuchTopic, not allowed, Kafka away. */
export type TopicAnswers = Record<keyof TopicExpectations['topics'], TopicSettings | Error>

/** Asks how the topics are set up. */
export async function readTopicSettings(
  names: TopicExpectations['topics'],
  topics: TopicAdmin,
): Promise<TopicAnswers> {
  const settingsOf = (topic: string) => topics.settingsOf(topic).catch((error: Error) => error)
  const found = Object.entries(names).map(async ([key, name]) => [key, await settingsOf(name)])
  return Object.fromEntries(await Promise.all(found))
}

/** What is wrong with the topics and how to mend it; a topic with which nothing is, in one line. */
export function topicFindings(expected: TopicExpectations, found: TopicAnswers): Finding[] {
  const keys = Object.keys(expected.topics) as (keyof TopicAnswers)[]
  return keys.flatMap(key => {
    const name = expected.topics[key]
    const what = `topic ${name}`
    const settings = found[key]
    if (settings instanceof NoSuchTopic) {
      const cure = './sluice doctor --create-topics creates it, as an administrator'
      return [fault(what, `Kafka has none of this name (kafka.topics.${key})`, cure)]
    }
    if (settings instanceof Error) {
      return [fault(what, ...splitCure(settings.message, 'See docs/security.md'))]
    }
    const wrong = [
      ...partitionFaults(what, key, settings.partitions, expected, found),
      ...keepingFindings(what, key, name, settings, expected),
    ]
    return wrong.some(({ level }) => level === 'FAULT')
      ? wrong
      : [ok(what, topicSummary(settings)), ...wrong]
  })
}

function partitionFaults(
  what: string,
  key: keyof TopicAnswers,
  has: number,
  { partitions, spreadOver, topics }: TopicExpectations,
  { readings }: TopicAnswers,
): Finding[] {
  const cure = (needed: number) =>
    `kafka-topics.sh --alter --topic ${topics[key]} --partitions ${needed}`
  // What is configured counts at first contact alone.
  const asked = spreadOver ?? partitions
  if (key === 'readings' && asked !== null && has < asked) {
    const why = spreadOver === null ? 'kafka.partitions is' : 'zones are spread over'
    return [fault(what, `${has} partitions, and ${why} ${asked}`, cure(asked))]
  }
  const needed = asked ?? (readings instanceof Error ? 0 : readings.partitions)
  if (key === 'backfill' && has < needed) {
    const value = `${has} partitions, and readings are spread over ${needed}`
    return [fault(what, value, cure(needed))]
  }
  return []
}

function keepingFindings(
  what: string,
  key: keyof TopicAnswers,
  name: string,
  { keeping, replicas }: TopicSettings,
  expected: TopicExpectations,
): Finding[] {
  if (keeping === 'not allowed') return [...copies(what, replicas, null), blind(what)]
  const findings = copies(what, replicas, keeping.minInsyncReplicas)
  const set = (setting: string) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ${setting}`
  const emptied = retentionFault(name, keeping, expected.lagMs)
  if (emptied) {
    const [value = '', ...cure] = emptied.slice(name.length + 1).split('. ')
    findings.push(fault(what, value, cure.join('. ')))
  } else if (keeping.timestampType === 'CreateTime') {
    const value = "keeps records by the sender's time (CreateTime)"
    findings.push(warn(what, value, set('message.timestamp.type=LogAppendTime')))
  }
  if (keeping.retentionMs !== null && keeping.retentionMs < SHORT_MS) {
    const value = `keeps records for ${formatDuration(keeping.retentionMs)} alone`
    findings.push(warn(what, value, set('retention.ms=604800000')))
  }
  const largest = largestOf(key, expected)
  if (keeping.maxMessageBytes < largest) {
    const most = `takes at most ${formatBytes(keeping.maxMessageBytes)}`
    const value = `${most}, and what goes there may have ${formatBytes(largest)}`
    findings.push(warn(what, value, set(`max.message.bytes=${largest}`)))
  }
  return findings
}

/** The largest record that may go there, in bytes, before compression. */
function largestOf(
  key: keyof TopicAnswers,
  { payloadMaxBytes, packetMaxBytes }: TopicExpectations,
): number {
  if (key === 'ledger') return 0
  // A dead letter has the bytes of a whole packet, in base64.
  return key === 'deadletters' ? Math.ceil((packetMaxBytes * 4) / 3) : payloadMaxBytes
}

function copies(what: string, replicas: number, minInsync: number | null): Finding[] {
  if (minInsync !== null && minInsync > replicas) {
    const value = `takes nothing: min.insync.replicas is ${minInsync}, and there are ${replicas}`
    return [fault(what, value, 'Lower it, or add replicas')]
  }
  if (replicas === 1) {
    return [warn(what, 'one copy: the disk of one broker is all there is', 'Use three replicas')]
  }
  if (minInsync !== 1) return []
  const value = 'acknowledged by one broker alone (min.insync.replicas is 1)'
  return [warn(what, value, 'Set it to 2')]
}

function blind(what: string): Finding {
  const value = 'how long it keeps what it gets cannot be seen'
  return warn(what, value, 'Grant DescribeConfigs on it: docs/security.md')
}

/** The settings of a topic in a few words. */
export function topicSummary({ partitions, replicas, keeping }: TopicSettings): string {
  const one = (count: number, name: string) => `${count} ${name}${count === 1 ? '' : 's'}`
  const shape = `${one(partitions, 'partition')}, ${one(replicas, 'replica')}`
  return keeping === 'not allowed' ? shape : `${shape}, ${toldKeeping(keeping)}`
}

function toldKeeping({ timestampType, retentionMs, retentionBytes }: TopicConfig): string {
  const kept = retentionMs === null ? 'for ever' : `for ${formatDuration(retentionMs)}`
  const most = retentionBytes === null ? '' : `, at most ${formatBytes(retentionBytes)} a partition`
  return `${timestampType}, kept ${kept}${most}`
}

/** Whether the bridge may write to its topics; asked, not tried, so that nothing is written. */
export async function writeRightFindings(
  kafka: KafkaOptions,
  topics: readonly string[],
): Promise<Finding[]> {
  // Loaded here alone: the bridge goes by the library that is configured.
  const { fetchWriteRights: askRights } = await import('../kafka/platformatic/rights.ts')
  const rights = await askRights(kafka, topics)
  const denied = topics.filter(topic => rights.get(topic) === false)
  // Of a topic that is not there, or not to be seen, was told before.
  if (denied.length === 0)
    return rights.size === 0 ? [] : [ok('right to write', grantedText(rights))]
  return denied.map(topic =>
    fault(
      `right to write to ${topic}`,
      'not granted',
      `kafka-acls.sh --add --operation Write --topic ${topic} --allow-principal User:… (docs/security.md)`,
    ),
  )
}

const grantedText = (rights: ReadonlyMap<string, boolean>) =>
  `granted, to ${[...rights.keys()].join(', ')}`
