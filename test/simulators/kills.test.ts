import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, inject, it } from 'vitest'
import { mulberry32 } from '../../simulators/building/random.ts'
import { describeWithKafka } from '../setup/kafka.ts'
import { startTestJob } from './job-fixture.ts'

const KILLS = 20
const SEED = 20261123

describeWithKafka('kill -9', () => {
  it('loses, doubles and reorders nothing in 20 kills of gateway and bridge', async () => {
    const random = mulberry32(SEED)
    const id = randomUUID()
    const topics = Object.fromEntries(
      ['readings', 'deadletters', 'ledger'].map(name => [name, `${name}-${id}`]),
    )
    const simulation = { ratePerSecond: 1000, seed: SEED }
    await using job = await startTestJob(simulation, { brokers: inject('brokers'), topics })
    const running = new AbortController()
    const run = job.devices.run(running.signal)
    let hitUnacknowledged = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const name = random() < 0.6 ? 'gateway' : 'bridge'
      const before = job[name].restarts
      const acknowledged = job.devices.counters().acknowledged
      await expect
        .poll(() => job.devices.counters().acknowledged, { timeout: 20_000 })
        .toBeGreaterThan(acknowledged)
      await sleep(random() * 800)
      if (name === 'gateway' && job.devices.counters().inFlight > 0) hitUnacknowledged++
      job[name].kill('SIGKILL')
      await expect.poll(() => job[name].restarts, { timeout: 20_000 }).toBe(before + 1)
    }
    await expect.poll(() => job.devices.counters().waiting, { timeout: 60_000 }).toBeLessThan(100)
    running.abort()
    await run
    expect(await job.drain()).toBe(0)
    const verdict = await job.judge()
    process.stderr.write(`${KILLS} kills, ${hitUnacknowledged} hit unacknowledged messages: `)
    process.stderr.write(`${JSON.stringify(verdict)}\n`)
    expect(verdict).toMatchObject({ missing: 0, duplicates: 0, inversions: 0, verdict: 'complete' })
    expect(hitUnacknowledged).toBeGreaterThanOrEqual(5)
    expect(verdict.acknowledged).toBeGreaterThan(KILLS * 500)
  }, 240_000)
})
