import { expect, it } from 'vitest'
import { fuzzPackets } from './packet-fuzzer.ts'
import { packetOf } from './packet-mutations.ts'
import { fuzzPayloads } from './payload-fuzzer.ts'
import { payloadOf } from './payload-mutations.ts'
import { createRandom, seedOf } from './random.ts'

const run = { from: 0, isOver: () => false, onProgress() {} }

it('20,000 mutated packets do not end the gateway, and it stays quiet', async () => {
  const report = await fuzzPackets({ ...run, seed: 20_261_130, packets: 20_000 })
  expect(report).toMatchObject({ crashes: 0, openAtCrash: [], lastLog: '' })
  expect(report.packets).toBeGreaterThanOrEqual(20_000)
  expect(report.messages).toBeGreaterThan(3000)
  expect(report.logLinesPerConnection).toBeLessThanOrEqual(5)
}, 120_000)

it('20,000 hostile payloads become events or dead letters', () => {
  const report = fuzzPayloads({ ...run, seed: 20_261_130, payloads: 20_000 })
  expect(report.crashes).toEqual([])
  expect(report.events).toBeGreaterThan(1000)
  expect(report.deadLetters).toBeGreaterThan(1000)
  expect(report.events + report.deadLetters).toBe(20_000)
})

it('equal seeds give equal packets and payloads', () => {
  for (const make of [
    packetOf,
    (random: ReturnType<typeof createRandom>) => payloadOf(random).bytes,
  ]) {
    const [one, same, other] = [7, 7, 8].map(seed => {
      const random = createRandom(seedOf(seed, 3))
      return Array.from({ length: 20 }, () => make(random).toString('hex')).join()
    })
    expect(one).toBe(same)
    expect(one).not.toBe(other)
  }
})
