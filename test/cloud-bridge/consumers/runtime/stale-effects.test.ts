import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { startEffects } from '../../../../cloud-bridge/consumers/runtime/effects.ts'
import { openSqliteStates } from '../../../../cloud-bridge/consumers/state/sqlite.ts'
import { SinkUnavailable } from '../../../../cloud-bridge/forwarder.ts'

const never = new AbortController().signal
const states = () => openSqliteStates(mkdtempSync(join(tmpdir(), 'sluice-effects-')))

it('a member that lost its partition while Kafka was away for it does not overwrite the newer aggregate', async () => {
  await using store = states()
  await using state = await store.open('analytics')
  const topic: string[] = []
  const sinkOf = (isAway: () => boolean) => ({
    setApart: () => ({ sink: { async [Symbol.asyncDispose]() {} } }),
    async send({ records }: { records: readonly { value: Buffer }[] }) {
      if (isAway()) throw new SinkUnavailable('no answer')
      for (const { value } of records) topic.push(value.toString())
      return records.map(() => null)
    },
  })
  const start = (isAway: () => boolean) =>
    startEffects({
      ...{ sink: sinkOf(isAway) as never, partitionsOf: async () => 1, signal: never },
      ...{ onSent() {}, onRefused() {}, onAway() {} },
    })
  const window = (value: string) => [
    { id: 'w', topic: 'aggregates', key: 'w', value: Buffer.from(value) },
  ]
  let isAway = true
  const old = await state.claim(0)
  await old.commit({ effects: window('count 10') })
  const oldEffects = start(() => isAway)
  oldEffects.wake(old)
  await sleep(50)
  // The group shares out anew: another has the partition, and the window was amended.
  const now = await state.claim(0)
  await now.commit({ effects: window('count 11, amended') })
  const newEffects = start(() => false)
  newEffects.wake(now)
  await newEffects.idle()
  isAway = false
  await oldEffects.idle()
  expect(topic.at(-1)).toBe('count 11, amended')
})
