import { writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { certificateChecks } from '../../../cloud-bridge/doctor/certificates.ts'
import { runChecks } from '../../../cloud-bridge/doctor/check-runner.ts'
import { clockCheck } from '../../../cloud-bridge/doctor/clock.ts'
import { type Check, type Finding, findingLine } from '../../../cloud-bridge/doctor/finding.ts'
import { listenerChecks } from '../../../cloud-bridge/doctor/listeners.ts'
import { gatewayIdCheck, storeChecks } from '../../../cloud-bridge/doctor/stores.ts'
import { type Config, defaults } from '../../../config/config.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { serveHttp } from '../../../config/process/http-server.ts'
import { markDamaged } from '../../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { reading } from '../readings.ts'

const silent = { findings: () => {}, slow: () => {} }
const lines = async (...checks: Check[]) => (await runChecks(checks, silent)).map(findingLine)

describe('concurrent checks', () => {
  it('are reported in order, with failures and timeouts; running checks are named meanwhile', async () => {
    const slow: string[][] = []
    const reported: string[] = []
    const checks: Check[] = [
      { subject: 'hangs', run: () => new Promise(() => {}) },
      { subject: 'fails', run: () => Promise.reject(new Error('broken')) },
    ]
    const on = {
      findings: (findings: Finding[]) =>
        void reported.push(...findings.map(({ subject }) => subject)),
      slow: (subjects: string[]) => void slow.push(subjects),
    }
    const findings = await runChecks(checks, on, { deadlineMs: 200, slowMs: 50 })
    expect(findings.map(({ status, value }) => `${status}: ${value}`)).toEqual([
      'fault: no answer within 0.2 s',
      'fault: broken',
    ])
    expect(reported).toEqual(['hangs', 'fails'])
    expect(slow[0]).toEqual(['hangs'])
  })
})

describe('this machine', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const stores = (file: string, bounds: Partial<Config['outbox']['bounds']> = {}) =>
    storeChecks({
      outbox: { ...defaults.outbox, file, bounds: { ...defaults.outbox.bounds, ...bounds } },
      inbox: { ...defaults.inbox, file: join(dir, 'inbox.db') },
    })[0]!

  it('has a gateway with an id: drawn, stored or configured', async () => {
    const outbox = { ...defaults.outbox, file: join(dir, 'outbox.db') }
    const shownId = async (id: string | null) =>
      (await gatewayIdCheck({ gateway: { ...defaults.gateway, id }, outbox }).run())[0]!.value
    expect(await shownId(null)).toBe('drawn at the first start')
    expect(await shownId('hq')).toBe('hq')
    const { gateway, close } = openOutbox({ file: outbox.file, gateway: null })
    close()
    expect(await shownId(null)).toBe(`${gateway}, from the outbox`)
    expect(await shownId(gateway)).toBe(gateway)
    expect(await shownId('hq')).toMatch(`hq; the outbox is of ${gateway} until`)
  })

  it('has a writable outbox, or a place for one', async () => {
    const file = join(dir, 'outbox.db')
    expect(await lines(stores(file))).toEqual([expect.stringMatching(/^ok .*at the first start$/)])
    openOutbox({ file, gateway: 'gw' }).close()
    expect(await lines(stores(file))).toEqual([expect.stringMatching(/^ok .* kB in use$/)])
  })

  it('has a missing folder, a foreign file, a damaged file, or too little disk space', async () => {
    for (const folder of [join(dir, 'a'), join(dir, 'a', 'b')]) {
      const file = join(folder, 'c.db')
      expect(await lines(stores(file))).toEqual([
        `FAULT  outbox.file ${file}: the directory ${folder} is not there. ` +
          'Mount its disk, or create the directory',
      ])
    }
    expect(await lines(stores(dir))).toEqual([
      `FAULT  outbox.file ${dir}: this path is a directory. ` +
        `Name a file in the directory, such as ${join(dir, 'outbox.db')}`,
    ])
    const foreign = join(dir, 'foreign.db')
    const db = new Database(foreign)
    db.exec('CREATE TABLE theirs (a)')
    db.close()
    expect(await lines(stores(foreign))).toEqual([
      `FAULT  outbox.file ${foreign}: the file is of another kind. Name another path`,
    ])
    const file = join(dir, 'outbox.db')
    openOutbox({ file, gateway: 'gw' }).close()
    expect(await lines(stores(file, { freeDiskBytes: 1e15 }))).toContainEqual(
      expect.stringMatching(/^FAULT .*free on its disk, less than 1000\.0 TB/),
    )
    markDamaged(file, 'page 7')
    writeFileSync(`${file}.damaged-20260101T000000000Z`, '')
    expect(await lines(stores(file))).toEqual([
      expect.stringMatching(/^warn .*damaged: page 7\. Start the gateway/),
      expect.stringMatching(/^warn .*salvaged at 2026-01-01/),
    ])
  })

  it('has an outbox that is nearly full, or full', async () => {
    const file = join(dir, 'outbox.db')
    const outbox = openOutbox({ file, gateway: 'gw' })
    outbox.commit({ readings: [reading('lobby')], deadLetters: [] })
    outbox.close()
    const [line] = await lines(stores(file))
    const usedBytes = Number(/([\d.]+) kB in use/.exec(line!)![1]) * 1000
    expect(await lines(stores(file, { bytes: usedBytes * 1.1 }))).toEqual([
      expect.stringMatching(/^warn .* kB of .* in use/),
    ])
    expect(await lines(stores(file, { bytes: usedBytes / 2 }))).toEqual([
      expect.stringMatching(/^FAULT .* kB of .* in use/),
    ])
  })

  it('has a clock that is synchronised, unconfirmed, or wrong', async () => {
    const syncedFile = join(dir, 'synchronized')
    const options = { sources: ['timesyncd', 'chrony'] as const, syncedFile }
    const check = (output: string | null, nowMs = Date.now()) =>
      lines(clockCheck(options, nowMs, async () => output))
    const unsynchronised = `00000000,,0,0.0,0.0,0,0,0,0,0,1,1,0,Not synchronised`
    expect(await check(null)).toEqual([
      expect.stringMatching(/^warn .*nothing says.*systemd-timesyncd, chrony or ntpd/),
    ])
    expect(await check(unsynchronised)).toEqual([
      expect.stringMatching(/^warn .*chrony says .* not synchronised. chrony runs .*sources$/),
    ])
    await writeFile(syncedFile, '')
    expect(await check(null)).toEqual([expect.stringMatching(/^ok .*synchronised \(timesyncd\)$/)])
    expect(await check(null, 1000)).toEqual([
      expect.stringMatching(/^FAULT {2}clock: 1970-01-01.*before this program/),
    ])
  })

  it('has free ports, occupied ports, or a running process that reports its reasons', async () => {
    const at = async () => ({ host: '127.0.0.1', port: await findFreePort() })
    const [mqtt, gateway, bridge] = [await at(), await at(), await at()]
    const checks = () =>
      listenerChecks({
        gateway: {
          ...defaults.gateway,
          mqtt: { ...defaults.gateway.mqtt, ...mqtt },
          http: { ...defaults.gateway.http, ...gateway },
        },
        bridge: { ...defaults.bridge, http: { ...defaults.bridge.http, ...bridge } },
        outbox: { ...defaults.outbox, file: join(dir, 'outbox.db') },
        inbox: { ...defaults.inbox, file: join(dir, 'inbox.db') },
      })
    expect(await lines(...checks())).toEqual([
      `ok     gateway: does not run; ports ${gateway.port} and ${mqtt.port} are free`,
      `ok     bridge: does not run; port ${bridge.port} is free`,
    ])
    const other = createServer().listen(mqtt.port, mqtt.host)
    const inbox = openInbox({ file: join(dir, 'inbox.db'), settleMs: 1000 })
    await using _page = await serveHttp({
      ...{ key: 'bridge.http', ...bridge, metrics: async () => '' },
      state: () => ({ part: 'bridge', pid: 7 }),
      notReadyReasons: () => ['events wait: away'],
    })
    expect(await lines(...checks())).toEqual([
      expect.stringMatching(
        /^FAULT {2}gateway\.mqtt: 127.*another process listens there\. It does not/,
      ),
      'ok     bridge: runs (process 7)',
      expect.stringMatching(/^warn {3}bridge: events wait: away\./),
    ])
    inbox.close()
    other.close()
  })

  it('has a gateway and a bridge of another configuration at its addresses', async () => {
    const at = async () => ({ host: '127.0.0.1', port: await findFreePort() })
    const [mqtt, gateway, bridge] = [await at(), await at(), await at()]
    const outboxFile = join(dir, 'own.db')
    const checks = () =>
      listenerChecks({
        gateway: {
          ...defaults.gateway,
          mqtt: { ...defaults.gateway.mqtt, ...mqtt },
          http: { ...defaults.gateway.http, ...gateway },
        },
        bridge: { ...defaults.bridge, http: { ...defaults.bridge.http, ...bridge } },
        outbox: { ...defaults.outbox, file: outboxFile },
        inbox: { ...defaults.inbox, file: join(dir, 'own-inbox.db') },
      })
    const other = { gateway: 'hall', store: 'ab12', outbox: '/card/outbox.db' }
    const serve = (part: string, at: { host: string; port: number }, state: object) =>
      serveHttp({
        ...{ key: `${part}.http`, ...at, metrics: async () => '', notReadyReasons: () => [] },
        alarms: () => ['an alarm of the other'],
        state: () => ({ part, pid: 7, ...state }),
      })
    await using _gateway = await serve('gateway', gateway, other)
    await using _bridge = await serve('bridge', bridge, { ...other, outbox: undefined })
    const expected = [
      `FAULT  gateway.http: 127.0.0.1:${gateway.port}: the gateway of another configuration ` +
        'listens there (process 7, gateway.id hall, outbox /card/outbox.db). Choose another port ' +
        'for gateway.http, or give the doctor the --config of that gateway',
      `FAULT  bridge.http: 127.0.0.1:${bridge.port}: the bridge of another configuration ` +
        'listens there (process 7, gateway.id hall, outbox with the store ab12). Choose another ' +
        'port for bridge.http, or give the doctor the --config of that bridge',
    ]
    expect(await lines(...checks())).toEqual(expected)
    // This configuration's outbox exists, and its own gateway starts meanwhile.
    const outbox = openOutbox({ file: outboxFile, gateway: 'gw' })
    expect(await lines(...checks())).toEqual(expected)
    outbox.close()
  })

  it('has a gateway that holds its outbox and does not answer, which must not be stopped', async () => {
    const [mqtt, gateway, bridge] = [
      await findFreePort(),
      await findFreePort(),
      await findFreePort(),
    ]
    const at = (port: number) => ({ host: '127.0.0.1', port, hostNames: [] })
    const file = join(dir, 'outbox.db')
    // Two sockets that accept connections and answer nothing, as those of an overloaded gateway.
    const silentServers = [createServer(), createServer()]
    silentServers[0]!.listen(mqtt, '127.0.0.1')
    silentServers[1]!.listen(gateway, '127.0.0.1')
    const check = listenerChecks({
      gateway: {
        ...defaults.gateway,
        mqtt: { ...defaults.gateway.mqtt, ...at(mqtt) },
        http: at(gateway),
      },
      bridge: { ...defaults.bridge, http: at(bridge) },
      outbox: { ...defaults.outbox, file },
      inbox: { ...defaults.inbox, file: join(dir, 'inbox.db') },
    })[0]!
    const outbox = openOutbox({ file, gateway: 'gw' })
    const [line, ...others] = await lines(check)
    expect(others).toEqual([])
    expect(line).toContain(
      `warn   gateway: process ${process.pid} runs with ${file}, but does not answer`,
    )
    outbox.close()
    const free = await lines(check)
    expect(free).toHaveLength(2)
    for (const text of [line, ...free]) expect(text).not.toMatch(/\b(stop|end|kill) /i)
    for (const server of silentServers) server.close()
  })

  it('has certificates that are valid, or have expired', async () => {
    const authority = createAuthority('Authority of tests')
    const tls = (expired: boolean) => {
      const { cert, key } = authority.certify('gateway', { expired })
      return { ca: createSecret(authority.cert), cert: createSecret(cert), key: createSecret(key) }
    }
    const checks = (expired: boolean) =>
      certificateChecks({
        kafka: { tls: tls(expired) as unknown as Config['kafka']['tls'] },
        registry: { ca: tls(expired).cert },
      })
    expect(await lines(...checks(false))).toEqual([
      expect.stringMatching(/^ok {5}kafka\.tls\.caFile: valid until 20/),
      expect.stringMatching(/^ok {5}kafka\.tls\.certFile: valid until 20/),
      expect.stringMatching(/^ok {5}registry\.caFile: valid until 20/),
    ])
    expect((await lines(...checks(true))).slice(1)).toEqual([
      expect.stringMatching(/^FAULT {2}kafka\.tls\.certFile: expired on 20/),
      expect.stringMatching(/^FAULT {2}registry\.caFile: expired on 20/),
    ])
  })
})
