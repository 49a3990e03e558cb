import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { expect, it } from 'vitest'
import {
  type ConsumerDefinition,
  handlerDefinition,
} from '../../../cloud-bridge/consumers/catalogue.ts'
import { createKafkaClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { clientOptions } from '../../../cloud-bridge/kafka/platformatic/configuration.ts'
import { CannotStart } from '../../../config/process/lifetime.ts'
import { describeWithKafka, sharedKafka } from '../../setup/kafka/kafka.ts'
import { type ConsumerStage, openConsumerStage } from './consumer-stage.ts'
import { eventsOf, listing } from './runtime/fixture.ts'

const GROUP_COMMITS_WITHIN_MS = 20_000

/**
 * Runs the consumer until it has processed `count` records and Kafka has the group's offset, or
 * until the consumer ends by itself.
 */
async function runConsumer(stage: ConsumerStage, definition: ConsumerDefinition, count: number) {
  const { context, ending } = await stage.openProcess(definition.name)
  const { runtime, stack, kafka } = context
  await using _ = stack
  const { openWork, check } = await definition.open(context)
  const running = runtime.run(openWork, { check: check! })
  running.catch(() => ending.abort())
  const committed = async () => {
    const offsets = await kafka.topics.committedOffsets(runtime.groupId, stage.topics.readings)
    return offsets.get(0) ?? 0
  }
  const deadlineMs = performance.now() + GROUP_COMMITS_WITHIN_MS
  while (!ending.signal.aborted && performance.now() < deadlineMs) {
    if ((runtime.metrics.totals.taken['in order'] ?? 0) >= count && (await committed()) >= count)
      break
    await sleep(100)
  }
  ending.abort()
  await running
}

describeWithKafka('an empty state in a directory', () => {
  it('is refused while the group has committed offsets, and names what to do', async () => {
    await using stage = await openConsumerStage(1)
    const definition = handlerDefinition({ ...listing, name: `listing-${stage.run}` })
    await stage.send(stage.topics.readings, eventsOf([1, 2, 3]))
    await runConsumer(stage, definition, 3)
    // The state is there, so the consumer goes on.
    await stage.send(stage.topics.readings, eventsOf([4]))
    await runConsumer(stage, definition, 1)
    for (const client of ['kafkajs', 'platformatic'] as const) {
      const { topics } = await createKafkaClient({ ...sharedKafka(), client })
      const offsetsOf = (groupId: string) => topics.committedOffsets(groupId, stage.topics.readings)
      expect([...(await offsetsOf(`sluice-${definition.name}`))], client).toEqual([[0, 4]])
      expect([...(await offsetsOf(`unknown-${stage.run}`))], client).toEqual([])
    }
    rmSync(stage.config.consumers.dir, { recursive: true })
    const refused = runConsumer(stage, definition, 1)
    await expect(refused).rejects.toThrow(CannotStart)
    await expect(refused).rejects.toThrow(
      /has nothing of partition 0, but the group .* up to offset 4\. .*PostgreSQL .*--from begin/,
    )
  }, 120_000)

  it('is refused when the topic no longer begins at 0', async () => {
    await using stage = await openConsumerStage(1)
    const definition = handlerDefinition({ ...listing, name: `listing-${stage.run}` })
    await stage.send(stage.topics.readings, eventsOf([1, 2, 3]))
    const admin = new Admin(clientOptions(sharedKafka()))
    const partitions = [{ partition: 0, offset: 2n }]
    await admin.deleteRecords({ topics: [{ name: stage.topics.readings, partitions }] })
    await admin.close()
    await expect(runConsumer(stage, definition, 1)).rejects.toThrow(
      /begins at offset 2: Kafka has deleted older records/,
    )
  }, 120_000)
})
