import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { rehearseKill } from '../../simulators/rehearse/faults/kill.ts'
import { describeWithKafka } from '../setup/kafka/kafka.ts'
import { startTestStage } from './pipeline/pipeline-fixture.ts'

const KILLS = 20
const SEED = 20261123

describeWithKafka('kill -9', () => {
  it('loses, duplicates and reorders nothing in 20 kills of gateway and bridge', async () => {
    const id = randomUUID()
    const topics = Object.fromEntries(
      ['readings', 'deadletters', 'ledger'].map(name => [name, `${name}-${id}`]),
    )
    const simulation = { ratePerSecond: 1000, seed: SEED }
    await using stage = await startTestStage(simulation, { brokers: inject('brokers'), topics })
    const outcome = await rehearseKill(stage, { times: KILLS, seed: SEED, onProgress: () => {} })
    process.stderr.write(`${JSON.stringify(outcome)}\n`)
    expect(outcome).toMatchObject({ lost: 0, countedTwice: 0, outOfOrder: 0, passed: true })
    expect(outcome.hits).toBeGreaterThanOrEqual(5)
    expect(outcome.acknowledged).toBeGreaterThan(KILLS * 500)
  }, 240_000)
})
