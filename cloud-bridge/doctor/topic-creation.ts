import type { Config } from '../../config/config.ts'
import type { KafkaOptions, NewTopic, TopicAdmin } from '../kafka/client.ts'
import { createKafkaClient } from '../kafka/configured-client.ts'
import type { TopicSettings } from '../kafka/topic-settings.ts'
import { type Check, type Finding, fault, mergeFindings, ok, splitCure, warn } from './finding.ts'
import { readTopicSettings, topicSummary } from './topics.ts'

type Names = Pick<Config['kafka'], 'topics' | 'partitions'>

/** How many partitions the readings get when nobody says. */
const PARTITIONS = 6

/** Creates the topics that are missing, as an administrator. */
export function topicCreationCheck(kafka: Names & KafkaOptions, replicas?: number): Check {
  const what = '--create-topics'
  return {
    what,
    async look() {
      if (kafka.brokers.length === 0) {
        return [fault(what, 'no brokers are configured', 'Set kafka.brokers, or name --admin')]
      }
      const { topics } = await createKafkaClient(kafka)
      return mergeFindings(await createMissingTopics(topics, kafka, replicas))
    },
  }
}

/**
 * Creates the topics that are missing, and says how; those that are there are left as they are, and
 * what differs is told. Again, it changes nothing.
 */
export async function createMissingTopics(
  topics: TopicAdmin,
  { topics: names, partitions }: Names,
  replicas?: number,
): Promise<Finding[]> {
  const before = await readTopicSettings(names, topics)
  const { readings } = before
  const spread = partitions ?? (readings instanceof Error ? PARTITIONS : readings.partitions)
  const plans: Record<keyof typeof names, number> = {
    ...{ readings: spread, backfill: spread, deadletters: 1, ledger: 1 },
  }
  const keys = Object.keys(plans) as (keyof typeof plans)[]
  const planOf = (key: keyof typeof plans): NewTopic => ({
    ...{ topic: names[key], partitions: plans[key] },
    ...(replicas !== undefined && { replicas }),
  })
  // Who may create a topic may not always see whether it is there; creating leaves it then.
  const missing = keys.filter(key => before[key] instanceof Error)
  const failure = await tried(topics, missing.map(planOf))
  const after = await readTopicSettings(names, topics)
  return keys.map(key => {
    const what = `topic ${names[key]}`
    const [was, is] = [before[key], after[key]]
    if (!(was instanceof Error)) return left(what, was, planOf(key))
    if (!(is instanceof Error)) return ok(what, `created: ${topicSummary(is)}`)
    const cure = 'See docs/security.md for the rights it needs'
    return fault(what, ...splitCure(`not created, ${failure ?? is.message}`, cure))
  })
}

async function tried({ create }: TopicAdmin, plans: NewTopic[]): Promise<string | null> {
  if (plans.length === 0) return null
  try {
    await create(plans)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

function left(what: string, is: TopicSettings, plan: NewTopic): Finding {
  const differs = [
    is.partitions < plan.partitions && `${is.partitions} partitions and not ${plan.partitions}`,
    plan.replicas !== undefined &&
      is.replicas !== plan.replicas &&
      `${is.replicas} replicas and not ${plan.replicas}`,
    is.keeping !== 'not allowed' &&
      is.keeping.timestampType !== 'LogAppendTime' &&
      `${is.keeping.timestampType} and not LogAppendTime`,
  ].filter(one => one !== false)
  if (differs.length === 0) return ok(what, `was there: ${topicSummary(is)}`)
  return warn(what, `was there and is left as it is: ${differs.join(', ')}`, 'Change it by hand')
}
