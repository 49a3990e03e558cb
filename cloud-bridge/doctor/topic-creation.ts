import type { Config } from '../../config/config.ts'
import type { EffectTopic } from '../consumers/effect-topics.ts'
import type { KafkaOptions, NewTopic, TopicAdmin } from '../kafka/client.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import type { TopicSettings } from '../kafka/topic-settings.ts'
import {
  type Check,
  type Finding,
  fault,
  mergeFindings,
  ok,
  splitCure,
  warning,
} from './finding.ts'
import { readTopicSettings, topicSummary } from './topics.ts'

type TopicNames = Pick<Config['kafka'], 'topics' | 'partitions'> & {
  /** The topics of the consumers; none by default. */
  effectTopics?: readonly EffectTopic[]
}

/** How many partitions the readings topic gets when kafka.partitions is not set. */
const DEFAULT_PARTITIONS = 6

/** Creates the missing topics, with an administrator's access. */
export function topicCreationCheck(kafka: TopicNames & KafkaOptions, replicas?: number): Check {
  const subject = '--create-topics'
  return {
    subject,
    async run() {
      if (kafka.brokers.length === 0) {
        return [fault(subject, 'no brokers are configured', 'Set kafka.brokers, or add --admin')]
      }
      const { topics } = await createKafkaClient(kafka)
      return mergeFindings(await createMissingTopics(topics, kafka, replicas))
    },
  }
}

/**
 * Creates the missing topics and reports their settings. Existing topics are left unchanged; their
 * differences from the plan are reported. Idempotent.
 */
export async function createMissingTopics(
  topics: TopicAdmin,
  { topics: bridgeTopics, partitions, effectTopics = [] }: TopicNames,
  replicas?: number,
): Promise<Finding[]> {
  const effectNames = Object.fromEntries(effectTopics.map(({ topic }) => [topic, topic]))
  const names: Record<string, string> = { ...effectNames, ...bridgeTopics }
  const before = await readTopicSettings(names, topics)
  const readings = before.readings!
  const spreadOver =
    partitions ?? (readings instanceof Error ? DEFAULT_PARTITIONS : readings.partitions)
  const singles = [bridgeTopics.deadletters, bridgeTopics.ledger]
  const compacted = effectTopics.flatMap(({ topic, isCompacted }) => (isCompacted ? [topic] : []))
  const keys = [...Object.keys(bridgeTopics), ...Object.keys(effectNames)]
  const planOf = (key: string): NewTopic => ({
    ...{ topic: names[key]!, partitions: singles.includes(names[key]!) ? 1 : spreadOver },
    ...(replicas !== undefined && { replicas }),
    ...(compacted.includes(names[key]!) && { isCompacted: true }),
  })
  // A user who may create topics may not always see them; existing topics are left unchanged.
  const missing = keys.filter(key => before[key] instanceof Error)
  const failure = await createTopics(topics, missing.map(planOf))
  const after = await readTopicSettings(names, topics)
  return keys.map(key => {
    const subject = `topic ${names[key]}`
    const [existing, created] = [before[key]!, after[key]!]
    if (!(existing instanceof Error)) return existingFinding(subject, existing, planOf(key))
    if (!(created instanceof Error)) return ok(subject, `created: ${topicSummary(created)}`)
    const cure = 'See docs/security.md for the necessary rights'
    return fault(subject, ...splitCure(`not created, ${failure ?? created.message}`, cure))
  })
}

/** Creates the topics. Returns the message of a failure, or null. */
async function createTopics(admin: TopicAdmin, plans: NewTopic[]): Promise<string | null> {
  if (plans.length === 0) return null
  try {
    await admin.create(plans)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function existingFinding(
  subject: string,
  { partitions, replicas, config }: TopicSettings,
  plan: NewTopic,
): Finding {
  const differences = [
    partitions < plan.partitions && `${partitions} partitions instead of ${plan.partitions}`,
    plan.replicas !== undefined &&
      replicas !== plan.replicas &&
      `${replicas} replicas instead of ${plan.replicas}`,
    config !== 'not allowed' &&
      config.timestampType !== 'LogAppendTime' &&
      `${config.timestampType} instead of LogAppendTime`,
  ].filter(difference => difference !== false)
  if (differences.length === 0) {
    return ok(subject, `exists: ${topicSummary({ partitions, replicas, config })}`)
  }
  const value = `exists and is left unchanged: ${differences.join(', ')}`
  return warning(subject, value, 'Change the topic with kafka-topics.sh or kafka-configs.sh')
}
