import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { stringify } from 'yaml'
import { markDamaged } from '../../gateway/store/file/damage-mark.ts'
import { openInbox } from '../../gateway/store/inbox.ts'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { fetchState, startSluiceProcess } from '../../simulators/processes/sluice-process.ts'
import { fill, isFirst, LAST, open, overwrite } from '../gateway/store/file/damaged-file.ts'
import { readOutbox } from '../gateway/store/fixture.ts'

const PATIENCE = { timeout: 20_000, interval: 50 }
const HOST = '127.0.0.1'

let dir: string
let running: AsyncDisposableStack
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-recovery-'))
  running = new AsyncDisposableStack()
})
afterEach(async () => {
  await running.disposeAsync()
  await rm(dir, { recursive: true, force: true })
})

/** Creates a filled outbox and an inbox, and functions that start gateway and bridge on them. */
async function createStore() {
  const [file, inboxFile] = [join(dir, 'outbox.db'), join(dir, 'inbox.db')]
  const outbox = open(file)
  fill(outbox)
  outbox.close()
  openInbox({ file: inboxFile, settleMs: 1 }).close()
  const ports = { mqtt: await findFreePort(), gateway: await findFreePort(), bridge: 0 }
  ports.bridge = await findFreePort()
  const configFile = join(dir, 'sluice.yaml')
  const config = {
    gateway: { mqtt: { port: ports.mqtt }, http: { port: ports.gateway } },
    outbox: { file },
    inbox: { file: inboxFile },
    bridge: { http: { port: ports.bridge }, pollMs: 100 },
  }
  await writeFile(configFile, stringify(config))
  const http = (name: 'gateway' | 'bridge') => ({ host: HOST, port: ports[name] })
  const options = { configFile, env: process.env, logDir: join(dir, 'log'), onProblem() {} }
  const start = async (name: 'gateway' | 'bridge') =>
    running.use(await startSluiceProcess(name, http(name), options))
  const page = async (name: 'gateway' | 'bridge', path: string) =>
    (await fetch(`http://${HOST}:${ports[name]}${path}`)).text()
  const log = (name: string) => readFileSync(join(dir, 'log', `${name}.log`), 'utf8')
  return { ...{ file, inboxFile, outbox, http, start, page, log } }
}

it('a gateway starts with a damaged outbox, salvages it, and raises an alarm', async () => {
  const store = await createStore()
  overwrite(store.file, isFirst)
  const gateway = await store.start('gateway')
  const state = await fetchState<'gateway'>(store.http('gateway'))
  expect(state).toMatchObject({ store: store.outbox.store.toString('hex'), lastSequence: LAST })
  expect(state!.backlog.events).toBeGreaterThanOrEqual(0)
  const alarm = /"alarms":\["the outbox was damaged and salvaged at \d{4}-\d\d-\d\dT[\d:.]+Z; /
  expect(await store.page('gateway', '/health')).toMatch(alarm)
  expect(await store.page('gateway', '/ready')).toBe('{"ready":true,"reasons":[]}')
  expect(await store.page('gateway', '/metrics')).toMatch(/^sluice_salvaged_timestamp_seconds 1/m)
  expect(store.log('gateway')).toMatch(/"level":"error",.*the outbox was damaged and is salvaged/)
  expect(gateway.restarts).toBe(0)
  expect(readOutbox(store.file).events).toHaveLength(LAST)
})

it('the gateway salvages damage that the bridge finds, and neither restarts in a loop', async () => {
  const store = await createStore()
  const gateway = await store.start('gateway')
  markDamaged(store.file, 'found by the bridge')
  const bridge = await store.start('bridge')
  await expect.poll(() => gateway.restarts, PATIENCE).toBe(1)
  await expect
    .poll(() => store.page('gateway', '/health').catch(String), PATIENCE)
    .toMatch('salvaged at')
  await expect.poll(() => store.page('bridge', '/state'), PATIENCE).toMatch(`"events":${LAST}`)
  expect([gateway.restarts, bridge.restarts]).toEqual([1, 0])
})

it('a bridge reports that it waits for a damaged outbox, and starts with a damaged inbox', async () => {
  const store = await createStore()
  overwrite(store.file, isFirst)
  overwrite(store.inboxFile, isFirst)
  const bridge = await store.start('bridge')
  await expect
    .poll(() => store.page('bridge', '/ready'), PATIENCE)
    .toMatch('the outbox is damaged and waits for the gateway to salvage it')
  expect(await store.page('bridge', '/health')).toMatch('the inbox was damaged and replaced at')
  await store.start('gateway')
  await expect.poll(() => store.page('bridge', '/state'), PATIENCE).toMatch(`"events":${LAST}`)
  expect(bridge.restarts).toBe(0)
})

it.each(['gateway', 'bridge'] as const)(
  'a %s whose file is deleted ends and names it',
  async name => {
    const store = await createStore()
    await store.start(name)
    const file = name === 'gateway' ? store.file : store.inboxFile
    await rm(`${file}.lock`)
    const reason = `${file}.lock was deleted or moved away while this process has the file open`
    await vi.waitFor(() => expect(store.log(name)).toContain(reason), PATIENCE)
  },
)
