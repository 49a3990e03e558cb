import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { type KafkaOptions, NoSuchTopic, type TopicPlan, type Topics } from '../client.ts'
import { codesOf, describe, isNoSuchTopic } from '../errors.ts'
import { type Cluster, isPassing, openCluster } from './cluster.ts'
import { clientOptions } from './configured.ts'
import { endsOf } from './offsets.ts'

const KNOWN_WITHIN_MS = 10_000
const LOOK_AGAIN_MS = 50
const TOPIC_ALREADY_EXISTS = 36

export function openTopics(options: KafkaOptions): Topics {
  return {
    partitionsOf: topic => partitionsOf(options, topic),
    create: plans => create(options, plans),
  }
}

async function partitionsOf(options: KafkaOptions, topic: string): Promise<number> {
  await using cluster = openCluster(options)
  try {
    return (await cluster.leadersOf(topic)).count
  } catch (error) {
    throw isNoSuchTopic(error)
      ? new NoSuchTopic('Kafka has no such topic', { cause: error })
      : new Error(describe(error), { cause: error })
  }
}

async function create(options: KafkaOptions, plans: TopicPlan[]): Promise<void> {
  const admin = new Admin(clientOptions(options))
  const configs = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }]
  try {
    // One after the other, because an error does not say which of several topics it is about.
    for (const plan of plans) {
      await admin.createTopics({ topics: [plan], configs }).catch(error => {
        if (!codesOf(error).includes(TOPIC_ALREADY_EXISTS)) throw error
      })
    }
  } finally {
    await admin.close().catch(() => {})
  }
  await using cluster = openCluster(options)
  const giveUpAtMs = performance.now() + KNOWN_WITHIN_MS
  for (const { topic } of plans) {
    while (!(await canBeWritten(cluster, topic))) {
      if (performance.now() > giveUpAtMs)
        throw new Error(`${topic} was created, and has no leaders`)
      await sleep(LOOK_AGAIN_MS)
    }
  }
}

/** A leader may not know of its topic yet when others say that it leads. */
async function canBeWritten(cluster: Cluster, topic: string): Promise<boolean> {
  try {
    await endsOf(cluster, await cluster.leadersOf(topic), topic, 'latest')
    return true
  } catch (error) {
    if (isPassing(error)) return false
    throw error
  }
}
