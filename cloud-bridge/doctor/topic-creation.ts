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
  const names = [...Object.values(bridgeTopics), ...effectTopics.map(({ topic }) => topic)]
  const readAll = () =>
    readTopicSettings(Object.fromEntries(names.map(name => [name, name])), topics)
  const before = await readAll()
  const readings = before[bridgeTopics.readings]!
  const spreadOver =
    partitions ?? (readings instanceof Error ? DEFAULT_PARTITIONS : readings.partitions)
  const singles = [bridgeTopics.deadletters, bridgeTopics.ledger]
  const compacted = effectTopics.flatMap(({ topic, isCompacted }) => (isCompacted ? [topic] : []))
  const planOf = (topic: string): NewTopic => ({
    ...{ topic, partitions: singles.includes(topic) ? 1 : spreadOver },
    ...(replicas !== undefined && { replicas }),
    ...(compacted.includes(topic) && { isCompacted: true }),
  })
  // A user who may create topics may not always see them; existing topics are left unchanged.
  const missing = names.filter(name => before[name] instanceof Error)
  const failure = await createTopics(topics, missing.map(planOf))
  const after = await readAll()
  return names.map(name => {
    const subject = `topic ${name}`
    const [existing, created] = [before[name]!, after[name]!]
    if (!(existing instanceof Error)) return existingFinding(subject, existing, planOf(name))
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
    plan.isCompacted &&
      config !== 'not allowed' &&
      !config.cleanupPolicy.includes('compact') &&
      `cleanup.policy=${config.cleanupPolicy} instead of compact`,
  ].filter(difference => typeof difference === 'string')
  if (differences.length === 0) {
    return ok(subject, `exists: ${topicSummary({ partitions, replicas, config })}`)
  }
  const value = `exists and is left unchanged: ${differences.join(', ')}`
  return warning(subject, value, 'Change the topic with kafka-topics.sh or kafka-configs.sh')
}
