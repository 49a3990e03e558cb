import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { createKafkaClient } from '../../cloud-bridge/kafka/configured-client.ts'
import { describeWithKafka } from '../setup/kafka/kafka.ts'
import { startTestStage } from './pipeline/pipeline-fixture.ts'

const launcher = fileURLToPath(new URL('../../sluice', import.meta.url))
const execute = promisify(execFile)

describeWithKafka('Kafka away', () => {
  it('keeps everything for 30 s without Kafka and delivers it in order after newer events', async () => {
    const bridgeEnv = { SLUICE_BRIDGE_BACKFILL_AFTER_MS: '5000' }
    await using stage = await startTestStage({ ratePerSecond: 1000 }, {}, { bridge: bridgeEnv })
    const running = new AbortController()
    const run = stage.devices.run(running.signal)
    await expect
      .poll(async () => (await stage.states()).bridge?.delivered ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(1000)
    await stage.kafka!.kill()
    await sleep(30_000)
    const { gateway, bridge } = await stage.states()
    expect(gateway!.backlog.events).toBeGreaterThan(20_000)
    expect(bridge!.kafka.events).not.toBeNull()
    expect(stage.bridge.restarts).toBe(0)
    await stage.kafka!.restart()
    // Readings continue while the backlog drains.
    const { delivered } = (await stage.states()).bridge!
    const hasMore = async () => ((await stage.states()).bridge?.delivered ?? 0) > delivered + 20_000
    await expect.poll(hasMore, { timeout: 30_000 }).toBe(true)
    running.abort()
    await run
    expect(await stage.drain()).toBe(0)
    const verdict = await stage.judge()
    process.stderr.write(`Kafka away for 30 s: ${JSON.stringify(verdict)}\n`)
    expect(verdict).toMatchObject({ missing: 0, duplicates: 0, inversions: 0, verdict: 'complete' })
    expect(verdict.acknowledged).toBeGreaterThan(25_000)
    const { stream } = await createKafkaClient({ ...stage.config.kafka, brokers: stage.brokers })
    const { readings, backfill } = stage.config.kafka.topics
    const counts = [...(await stream.topicOffsets([readings, backfill])).values()].map(({ end }) =>
      [...end.values()].reduce((sum, count) => sum + count, 0),
    )
    expect(counts[1]).toBeGreaterThan(20_000)
    // The ledger merges both topics.
    const file = join(stage.dir, 'sluice.yaml')
    const env = { ...process.env, SLUICE_KAFKA_BROKERS: stage.brokers.join(',') }
    const args = [
      launcher,
      'ledger',
      'verify',
      '--config',
      file,
      '--json',
      '--silent-after',
      '3600',
    ]
    const proven = async () => {
      const { stdout } = await execute(process.execPath, args, { env }).catch(error => error)
      return JSON.parse(stdout).verdict
    }
    await expect.poll(proven, { timeout: 30_000 }).toBe('complete')
  }, 180_000)
})
