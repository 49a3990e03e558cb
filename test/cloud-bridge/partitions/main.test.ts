import { describe, expect, inject, it } from 'vitest'
import type { MovePartitionsAnswer } from '../../../cloud-bridge/partitions/partitions-command.ts'
import { partitionOf } from '../../../config/event/partitioner.ts'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { sendCommand } from '../../../config/process/command-request.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { fetchState } from '../../../simulators/processes/sluice-process.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import { createTopics, describeWithKafka, readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics } from '../forward/running-bridge.ts'
import { reading } from '../readings.ts'

const soon = { timeout: 20_000, interval: 20 }
const zones = Array.from({ length: 25 }, (_, number) => `zone ${number}`)

describe('./sluice partitions', () => {
  it.each([
    [['show'], /no bridge answers at bridge.http = .*: start the bridge with .*--config/],
    [['move', '--to', '12'], /no bridge answers/],
    [['move'], /--to/],
    [['move', '--to', '0'], /Write a number of partitions/],
  ])('%j exits with 2 and names the cure', async (args, reason) => {
    using at = openWorkspace({ bridge: { http: { port: await findFreePort() } } })
    const { code, stdout, stderr } = await at.run('partitions', ...args)
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)])
  })
})

describeWithKafka('./sluice partitions, on a running bridge', () => {
  it('shows and moves; a bridge that is killed during a move keeps the first moved sequence', {
    timeout: 90_000,
  }, async () => {
    const topics = freshTopics()
    const http = { host: '127.0.0.1', port: await findFreePort() }
    const kafka = { brokers: [...inject('brokers')], topics, partitions: 3 }
    using at = openWorkspace({ bridge: { http, batchMaxEvents: 25 }, kafka })
    await createTopics(sharedKafka(), [
      { topic: topics.readings, partitions: 8 },
      { topic: topics.backfill, partitions: 8 },
      { topic: topics.ledger, partitions: 1 },
    ])
    using outbox = disposable(openOutbox({ file: at.outboxFile, gateway: 'gw' }))
    const store = (groups: number) => {
      for (let group = 0; group < groups; group++) {
        outbox.value.commit({ readings: zones.map(zone => reading(zone)), deadLetters: [] })
      }
    }
    const sluice = (...args: string[]) => at.run('partitions', ...args)
    const state = () => fetchState<'bridge'>(http)
    const backlogEvents = async () => (await state())?.backlog?.events
    store(1)
    using first = stopping(at.start('bridge'))
    await expect.poll(backlogEvents, soon).toBe(0)
    const checkedTopics = Object.values(topics).slice(0, 2)
    const shown = checkedTopics.map(topic => `${topic} has 8 partitions\n`).join('')
    expect(await sluice('show')).toMatchObject({
      ...{ code: 0, stdout: `zones are spread over 3 partitions\n${shown}` },
    })
    expect(await sluice('move', '--to', '9')).toMatchObject({
      ...{ code: 1, stdout: '', stderr: expect.stringMatching(/8 and not 9\. kafka-topics\.sh/) },
    })

    store(200)
    // Sent by HTTP, because the bridge could deliver all events before a command process has
    // started.
    const moved = (await sendCommand(http, '/partitions/move', { to: 8 })) as MovePartitionsAnswer
    // Sent to the bridge itself, because the launcher cannot forward SIGKILL.
    process.kill((await state())!.pid, 'SIGKILL')
    await first.ended
    expect(moved.before).toMatchObject({ partitions: 3, to: moved.sequence - 1 })
    store(10)
    using _second = stopping(at.start('bridge'))
    await expect.poll(backlogEvents, soon).toBe(0)
    const { stdout } = await sluice('show', '--json')
    expect(JSON.parse(stdout).spread).toEqual({ partitions: 8, before: null })
    const last = await sluice('move', '--to', '5')
    const next = outbox.value.lastSequence + 1
    expect(last.stdout.split('\n')).toEqual([
      `zones are spread over 5 partitions from #${next} on`,
      expect.stringMatching(/^set kafka.partitions to 5/),
      '',
    ])
    store(1)
    await expect.poll(backlogEvents, soon).toBe(0)

    const records = (await readTopic(sharedKafka(), topics.readings)).flat()
    const all = records.map(({ value, partition }) => ({ ...decodeEvent(value), partition }))
    expect(new Set(all.map(event => event.sequence)).size).toBe(outbox.value.lastSequence)
    for (const { zone, sequence, partition } of all) {
      const count = sequence < moved.sequence ? 3 : sequence < next ? 8 : 5
      expect(partition).toBe(partitionOf(Buffer.from(zone), count))
    }
    const verified = await at.run('ledger', 'verify', '--json')
    const [gateway] = JSON.parse(verified.stdout).gateways
    expect(gateway).toMatchObject({ events: outbox.value.lastSequence, missing: 0, holes: [] })
  })
})

/** Stops the process at the end of the test; the launcher forwards SIGTERM. */
const stopping = (started: ReturnType<ReturnType<typeof openWorkspace>['start']>) =>
  Object.assign(started, { [Symbol.dispose]: () => void started.child.kill('SIGTERM') })
const disposable = <T extends { close(): void }>(value: T) => ({
  value,
  [Symbol.dispose]: () => value.close(),
})
