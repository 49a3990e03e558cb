import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { readOutbox } from '../store/fixture.ts'
import { openWorkspace } from './command.ts'

const soon = { timeout: 20_000, interval: 50 }

/** A workspace with free ports, in which ./sluice gateway runs with a given list of routes. */
async function openGatewayWorkspace() {
  const [mqtt, http] = [await findFreePort(), await findFreePort()]
  const workspace = openWorkspace({ gateway: { mqtt: { port: mqtt }, http: { port: http } } })
  const startGateway = async (routes?: object[]) => {
    const env = routes && { SLUICE_INGEST_ROUTES: JSON.stringify(routes) }
    const { child, ended, output } = workspace.startWith(env ?? {}, 'gateway')
    await expect
      .poll(() => fetch(`http://127.0.0.1:${http}/ready`).catch(() => output.stdout), soon)
      .toMatchObject({ status: 200 })
    return {
      async stop() {
        child.kill('SIGTERM')
        expect(await ended).toMatchObject({ code: 0 })
      },
    }
  }
  const publish = async (...messages: [topic: string, payload: string][]) => {
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt}`)
    for (const [topic, payload] of messages) await client.publishAsync(topic, payload, { qos: 1 })
    await client.endAsync()
  }
  return { ...workspace, startGateway, publish }
}

describe('./sluice deadletters', () => {
  it('shows messages that could not be decoded, and decodes them once the configuration is right', async () => {
    const workspace = await openGatewayWorkspace()
    using _place = workspace
    const first = await workspace.startGateway()
    await workspace.publish(
      ['plant/z7/d1', '{"n":1}'],
      ['plant/z7/d1', 'no\tJSON'],
      ['x', '{"n":3}'],
    )
    const list = await workspace.run('deadletters', 'list')
    expect([list.code, list.stderr]).toEqual([0, '3 dead letters\n'])
    expect(list.stdout.split('\n')[1]).toMatch(
      /^#3 {2}\S+Z {2}plant\/z7\/d1 {2}no route matches topic \(at topic\) {2}7 bytes$/,
    )
    const shown = await workspace.run('deadletters', 'show', '#3', '99')
    expect([shown.code, shown.stderr]).toEqual([1, 'there is no dead letter #99\n'])
    expect(shown.stdout).toContain('no\\u{9}JSON\n')
    expect(shown.stdout).toContain('00000000  6e 6f 09 4a 53 4f 4e')
    const early = await workspace.run('deadletters', 'retry', '2')
    expect([early.code, early.stdout]).toEqual([
      ...[1, '#2  left as it was: no route matches topic (at topic)\n'],
    ])
    await first.stop()

    const second = await workspace.startGateway([{ topic: 'plant/{zone}/{device}', site: 'plant' }])
    const retried = await workspace.run('deadletters', 'retry', '--all')
    expect([retried.code, retried.stderr]).toEqual([1, '1 retried, 2 left as they were\n'])
    expect(retried.stdout.split('\n')[0]).toBe('#2  is event #1 now')
    const dropped = await workspace.run('deadletters', 'drop', '3', '--json')
    expect([dropped.code, dropped.stdout]).toEqual([0, '{"number":3,"outcome":"dropped"}\n'])
    const retriedTwice = await workspace.run('deadletters', 'retry', '2')
    expect([retriedTwice.code, retriedTwice.stdout]).toEqual([
      1,
      '#2  left as it was: it is event #1 already\n',
    ])
    await second.stop()

    const { events, notes } = readOutbox(workspace.outboxFile)
    expect(events).toMatchObject([{ sequence: 1, zone: 'z7', site: 'plant' }])
    const settled = notes.filter(({ kind }) => kind === 'retried' || kind === 'dropped')
    expect(settled).toMatchObject([
      { kind: 'retried', content: { deadletter: 2, sequence: 1 } },
      { kind: 'dropped', content: { deadletter: 3 } },
    ])
    expect((await workspace.run('deadletters', 'list')).stdout).toMatch(/^#4 [^\n]*\n$/)
    const all = (await workspace.run('deadletters', 'list', '--settled')).stdout
    expect(all).toMatch(/retried: event #1\n#3 .*dropped\n#4 /)
  }, 60_000)

  it('retries hundreds, a hundred at a time, while devices send', async () => {
    const workspace = await openGatewayWorkspace()
    using _place = workspace
    const outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gateway' })
    const letter = (n: number) => ({
      ...{ reason: 'r', place: '', topic: 'building/hq/zone/z/sensor/d' },
      payload: Buffer.from(`{"n":${n}}`),
    })
    const numbers = Array.from({ length: 250 }, (_, n) => n)
    outbox.commit({
      readings: [],
      deadLetters: numbers.map(n => ({ at: n, deadLetter: letter(n) })),
    })
    outbox.close()
    const gateway = await workspace.startGateway()
    const live = numbers.slice(0, 50)
    const [retried] = await Promise.all([
      workspace.run('deadletters', 'retry', '--all'),
      workspace.publish(
        ...live.map((n): [string, string] => ['building/hq/zone/y/sensor/d', `{"n":${n}}`]),
      ),
    ])
    expect(retried).toMatchObject({ code: 0, stderr: '250 retried, 0 left as they were\n' })
    await gateway.stop()
    const { events } = readOutbox(workspace.outboxFile)
    const ofZone = (zone: string) =>
      events.filter(event => event.zone === zone).map(({ measurements }) => measurements[0]!.number)
    expect([ofZone('z'), ofZone('y')]).toEqual([numbers, live])
  }, 60_000)

  it('says what to do when no gateway runs, or another one', async () => {
    const workspace = await openGatewayWorkspace()
    using _place = workspace
    const outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gateway' })
    outbox.close()
    const none = await workspace.run('deadletters', 'retry', '1')
    expect([none.code, none.stdout]).toEqual([2, ''])
    expect(none.stderr).toMatch(/no gateway answers at gateway.http = .*start the gateway with/)
    const other = { SLUICE_OUTBOX_FILE: workspace.file('other.db') }
    const gateway = workspace.startWith(other, 'gateway')
    await expect.poll(() => gateway.output.stdout, soon).toContain('accepting')
    const refused = await workspace.run('deadletters', 'drop', '1')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/refuses: this gateway writes another outbox.*--config\n$/)
    gateway.child.kill('SIGTERM')
    await gateway.ended
    for (const args of [['retry'], ['drop', '--all', '3'], ['show', 'x']]) {
      const wrong = await workspace.run('deadletters', ...args)
      expect([wrong.code > 0, wrong.stdout]).toEqual([true, ''])
    }
  }, 60_000)
})
