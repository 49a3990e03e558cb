import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { describeWithKafka } from '../setup/kafka.ts'
import { startTestJob } from './job-fixture.ts'

describeWithKafka('Kafka away', () => {
  it('keeps everything for 30 s without Kafka and delivers it in order afterwards', async () => {
    await using job = await startTestJob({ ratePerSecond: 1000 })
    const running = new AbortController()
    const run = job.devices.run(running.signal)
    await expect
      .poll(async () => (await job.states()).bridge?.delivered ?? 0, { timeout: 20_000 })
      .toBeGreaterThan(1000)
    await job.kafka!.kill()
    await sleep(30_000)
    const { gateway, bridge } = await job.states()
    expect(gateway!.backlog.events).toBeGreaterThan(20_000)
    expect(bridge!.kafka.events).not.toBeNull()
    expect(job.bridge.restarts).toBe(0)
    await job.kafka!.restart()
    // Readings go on coming while the backlog drains.
    const { delivered } = (await job.states()).bridge!
    const hasMore = async () => ((await job.states()).bridge?.delivered ?? 0) > delivered + 20_000
    await expect.poll(hasMore, { timeout: 30_000 }).toBe(true)
    running.abort()
    await run
    expect(await job.drain()).toBe(0)
    const verdict = await job.judge()
    process.stderr.write(`Kafka away for 30 s: ${JSON.stringify(verdict)}\n`)
    expect(verdict).toMatchObject({ missing: 0, duplicates: 0, inversions: 0, verdict: 'complete' })
    expect(verdict.acknowledged).toBeGreaterThan(25_000)
  }, 180_000)
})
