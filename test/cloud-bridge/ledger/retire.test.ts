import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'
import { retireStores } from '../../../cloud-bridge/ledger/retire.ts'
import { verifyLedger } from '../../../cloud-bridge/ledger/verification.ts'
import { openConfigDir } from '../../config/config-fixture.ts'
import {
  createTopics,
  describeWithKafka,
  openKafkaSink,
  sharedKafka,
} from '../../setup/kafka/kafka.ts'

const STORE = 'a1b2c3d4'.repeat(4)
const ALIKE = [`0123456${'7'.repeat(25)}`, `0123456${'8'.repeat(25)}`]

async function startedStore() {
  const id = randomUUID()
  const topics = { readings: `readings-${id}`, backfill: `backfill-${id}`, ledger: `ledger-${id}` }
  const names = Object.values(topics)
  await createTopics(
    sharedKafka(),
    names.map(topic => ({ topic, partitions: 1 })),
  )
  await using sink = await openKafkaSink(sharedKafka())
  const at = Date.now()
  const content = { epoch: 5, firstSequence: 1, previous: null }
  const facts = { gateway: 'gw', store: STORE, origin: 'outbox', sequence: 1, run: 5, at }
  const heads = { epoch: 5, lastSequence: 3, zones: [['a', 3]] }
  const values = [
    { ...facts, kind: 'epoch', content },
    { ...facts, sequence: 2, kind: 'heads', content: heads },
    ...ALIKE.map((store, index) => ({
      ...{ ...facts, gateway: 'pair', store, run: 6 + index, kind: 'epoch' },
      content: { ...content, epoch: 6 + index },
    })),
    // The note names no run, so no store of this gateway is known.
    { ...facts, gateway: 'lone', store: 'f'.repeat(32), run: null, kind: 'other', content: {} },
  ]
  const records = values.map(value => ({
    ...{ key: Buffer.from('gw'), partition: 0, value: Buffer.from(JSON.stringify(value)) },
  }))
  await sink.send({ topic: topics.ledger, records })
  using dir = openConfigDir()
  return dir.configOf(JSON.stringify({ kafka: { brokers: inject('brokers'), topics } }))
}

async function run(work: (lines: string[], signal: AbortSignal) => Promise<number>) {
  const lines: string[] = []
  const code = await work(lines, new AbortController().signal)
  return { code, text: lines.join('\n') }
}

describeWithKafka('sluice ledger retire', () => {
  it('shows what becomes a hole, writes the note, and the verdict names the hole', async () => {
    const config = await startedStore()
    const verify = () =>
      run((lines, signal) =>
        verifyLedger({
          ...{ config, signal, silentAfterMs: 1, awaitedMaxMs: 1 },
          onReport: text => lines.push(text),
          onProblem: line => lines.push(line),
        }),
      )
    const retire = (name: string, more = {}) =>
      run((lines, signal) =>
        retireStores({
          ...{ config, signal, name, reason: 'the card burnt', ...more },
          onResult: line => lines.push(line),
          onProblem: line => lines.push(line),
        }),
      )
    expect(await verify()).toMatchObject({ code: 1, text: expect.stringContaining('3 missing') })
    const names = ['gw', STORE, 'pair', ...ALIKE, 'lone']
    const unknown = await retire('other')
    expect(unknown).toEqual({
      code: 1,
      text: `Kafka has heard of no gateway or store other. It knows: ${names.join(', ')}`,
    })
    expect(await retire('0123456')).toEqual({
      code: 1,
      text: `Several stores begin with 0123456: ${ALIKE.join(', ')}. Give more digits, at least 6`,
    })
    expect((await retire(STORE.slice(0, 5))).text).toBe(
      `A store begins with ${STORE.slice(0, 5)}: ${STORE}. Give more digits, at least 6`,
    )
    expect(await retire('lone')).toEqual({
      code: 1,
      text: 'No note in Kafka names a store of gateway lone, so no store can be retired',
    })
    const shown = await retire('gw', { dryRun: true })
    expect(shown.code).toBe(0)
    expect(shown.text).toMatch(
      /the card burnt; open since .*: 3 known numbers.*\nnothing was written/s,
    )
    expect(await verify()).toMatchObject({ text: expect.stringContaining('3 missing') })
    const done = await retire(STORE.slice(0, 6))
    expect(done.text).toMatch(
      new RegExp(`3 known numbers.*\nretired: ${STORE} of gateway gw$`, 's'),
    )
    const after = await verify()
    expect(after.code).toBe(1)
    expect(after.text).toMatch(/^gw: retired since/)
    expect(after.text).toMatch(
      /retired: store a1b2.*: the card burnt; open since .*3 known numbers/,
    )
    expect(after.text).not.toContain('missing')
  }, 60_000)
})
