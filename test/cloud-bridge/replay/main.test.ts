import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, inject, it } from 'vitest'
import { decodeEvent } from '../../../config/event/sensor-reading.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { fetchState } from '../../../simulators/processes/sluice-process.ts'
import { type Stage, startStage } from '../../../simulators/rehearse/stage/stage.ts'
import { openWorkspace } from '../../gateway/inspect/command.ts'
import { cacheDir, describeWithKafka } from '../../setup/kafka/java.ts'
import { readTopic, sharedKafka } from '../../setup/kafka/kafka.ts'
import { freshTopics } from '../forward/running-bridge.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))
const soon = { timeout: 40_000, interval: 20 }

describe('./sluice replay', () => {
  it.each([
    [['--from', '-1h'], /no bridge answers at bridge.http = .*: start the bridge with .*--config/],
    [[], /--from/],
    [['--from', '2026-05-01T08:00'], /has no time zone. Write 2026-05-01T08:00Z/],
    [['--from', '-1h', '--to', '2026-05-01'], /is not a time. Write a time such as/],
    [['--from', '-1h', '--to', '-2h'], /--from must be before --to/],
    [['--from', '-1h', '--to', '-1h'], /--from must be before --to/],
  ])('%j exits with 2 and names the cure', async (args, reason) => {
    using at = openWorkspace({ bridge: { http: { port: await findFreePort() } } })
    const { code, stdout, stderr } = await at.run('replay', ...args)
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(reason)])
  })
})

type CommandResult = { code: number; stdout: string; stderr: string }

/** Runs commands with the configuration of a stage. */
function createRunner({ dir }: Stage) {
  const env = { ...process.env, SLUICE_KAFKA_BROKERS: inject('brokers').join(',') }
  return (...args: string[]) =>
    new Promise<CommandResult>(resolve => {
      const all = [launcher, ...args, '--config', `${dir}/sluice.yaml`]
      execFile(process.execPath, all, { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      )
    })
}

describeWithKafka('./sluice replay, on a running bridge', () => {
  it('continues after the bridge is killed, and makes no hole', { timeout: 120_000 }, async () => {
    const topics = freshTopics()
    await using stage = await startStage({
      ...{ simulation: { ratePerSecond: 500 }, cacheDir, env: process.env },
      kafka: { brokers: inject('brokers'), topics },
      // Some 500 events a second, so that the bridge is killed during the replay.
      extraEnv: {
        bridge: {
          SLUICE_BRIDGE_BACKFILL_BATCH_MAX_EVENTS: '50',
          SLUICE_BRIDGE_BACKFILL_MAX_BYTES_PER_SECOND: '120000',
        },
      },
    })
    const sluice = createRunner(stage)
    const state = async () => (await fetchState<'bridge'>(stage.config.bridge.http))!
    await stage.devices.run(AbortSignal.timeout(3000))
    expect(await stage.drain()).toBe(0)
    const { delivered } = await state()

    const nowhere = await sluice('replay', '--from', '-1h', '--zone', 'no such')
    expect([nowhere.code, nowhere.stdout]).toEqual([1, ''])
    expect(nowhere.stderr).toMatch(/no delivered event is of this time and of zone "no such"/)

    const { code, stdout } = await sluice('replay', '--from', '-1h', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      ...{ topic: topics.backfill, runs: [{ from: 1, to: delivered, events: delivered }] },
      waits: null,
    })
    await expect.poll(async () => (await state()).replayed, soon).toBeGreaterThan(1000)
    const pid = stage.bridge.pid
    stage.bridge.kill('SIGKILL')
    await expect.poll(() => [null, pid].includes(stage.bridge.pid), soon).toBe(false)
    await expect
      .poll(async () => (await fetchState<'bridge'>(stage.config.bridge.http))?.ranges.length, soon)
      .toBe(1)
    expect(await state()).toMatchObject({ delivered: 0, backlog: { events: 0 } })

    const idsIn = async (topic: string) =>
      (await readTopic(sharedKafka(), topic)).map(records =>
        records.map(({ value }) => decodeEvent(value).id),
      )
    const live = await idsIn(topics.readings)
    const replayed = await idsIn(topics.backfill)
    // The first copies of the ids are in the order of the live events.
    expect(replayed.map(ids => [...new Set(ids)])).toEqual(live.map(ids => [...new Set(ids)]))
    const sent = replayed.flat().length
    expect(sent - delivered).toBeLessThan(1000)

    const verified = await sluice('ledger', 'verify', '--json')
    const [gateway] = JSON.parse(verified.stdout).gateways
    const extra = live.flat().length - delivered
    expect(gateway).toMatchObject({ events: delivered, missing: 0, holes: [] })
    expect(gateway.duplicates).toBe(sent + extra)
  })
})
