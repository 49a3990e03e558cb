import { mkdirSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runTail } from '../../../gateway/inspect/tail.ts'
import { openOutbox } from '../../../gateway/store/outbox.ts'
import { reading } from '../store/fixture.ts'
import { openWorkspace } from './command.ts'

const soon = { timeout: 15_000, interval: 20 }

describe('./sluice tail', () => {
  let workspace: ReturnType<typeof openWorkspace>
  let outbox: ReturnType<typeof openOutbox>
  beforeEach(() => {
    workspace = openWorkspace()
    outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gw' })
  })
  afterEach(() => {
    outbox.close()
    workspace[Symbol.dispose]()
  })

  const store = (...zones: string[]) =>
    outbox.commit({
      readings: zones.map((zone, number) => reading(zone, number)),
      deadLetters: [],
    })
  const numbers = (stdout: string) => [...stdout.matchAll(/#(\d+)/g)].map(([, n]) => Number(n))

  it('shows the last events while the gateway writes, one a line', async () => {
    for (let group = 0; group < 6; group++) store('a', 'b', 'c')
    const { code, stdout, stderr } = await workspace.run('tail', '--count', '4')
    expect([code, stderr]).toEqual([0, ''])
    expect(numbers(stdout)).toEqual([15, 16, 17, 18])
    expect(stdout.split('\n')[3]).toBe('2023-11-14T22:13:20.002Z  #18  hq/c/d1  n=2')
    expect(numbers((await workspace.run('tail')).stdout)).toHaveLength(10)
  })

  it('shows no more events than asked for, while further ones are stored', async () => {
    // The groups of the last 250 events are read in two steps.
    for (let group = 0; group < 300; group++) store('a')
    const lines: string[] = []
    const terminal = {
      warn: () => {},
      async printLine(line: string) {
        lines.push(line)
        if (lines.length < 100) store('a')
      },
    }
    const { signal } = new AbortController()
    const options = { file: workspace.outboxFile, follow: false, json: false, signal, terminal }
    expect(await runTail({ ...options, count: 250 })).toBe(0)
    const expected = Array.from({ length: 250 }, (_, nth) => 51 + nth)
    expect(numbers(lines.join('\n'))).toEqual(expected)
  })

  it('shows one zone, and every field as JSON', async () => {
    for (let group = 0; group < 3; group++) store('a', 'b')
    const { stdout } = await workspace.run('tail', '--zone', 'b', '--count', '2', '--json')
    const events = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(events).toMatchObject([
      { sequence: 4, zone: 'b', zoneSequence: 2, gateway: 'gw', receivedAt: 1_700_000_000_001 },
      { sequence: 6, zone: 'b', zoneSequence: 3, epoch: outbox.epoch },
    ])
  })

  it('shows each new event, also of an outbox that replaces the first', async () => {
    store('a', 'b')
    const { child, output, ended } = workspace.start('tail', '--follow', '--zone', 'a')
    const shown = (...expected: number[]) =>
      expect.poll(() => numbers(output.stdout), soon).toEqual(expected)
    await shown(1)
    store('b')
    store('b', 'a')
    await shown(1, 5)
    outbox.close()
    for (const end of ['', '-wal', '-shm', '.bell']) workspace.remove(`outbox.db${end}`)
    outbox = openOutbox({ file: workspace.outboxFile, gateway: 'gw' })
    store('a')
    await shown(1, 5, 1)
    child.kill('SIGINT')
    const stderr = 'the outbox was replaced by another file\n'
    expect(await ended).toMatchObject({ code: 0, stderr })
  })

  it('names a group that cannot be read, and exits with 1', async () => {
    for (const zone of ['a', 'b', 'c']) store(zone)
    const db = new Database(workspace.outboxFile)
    db.exec(`UPDATE groups SET body = x'00' WHERE sequence = 2`)
    db.close()
    const { code, stdout, stderr } = await workspace.run('tail')
    expect([code, numbers(stdout)]).toEqual([1, [1, 3]])
    expect(stderr).toMatch(/from #2 on cannot be read: body checksum differs.*b 1-1/)
  })

  it('ends when nobody reads any more', async () => {
    for (let group = 0; group < 20; group++) store(...Array.from({ length: 1000 }, () => 'a'))
    const { child, ended } = workspace.start('tail', '--count', '20000', '--json')
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await ended).toMatchObject({ stderr: '' })
  })
})

it('./sluice tail gives a cure where there is no outbox', async () => {
  using workspace = openWorkspace()
  const { code, stderr } = await workspace.run('tail')
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`outbox.file = ${workspace.outboxFile}: is not`),
  ])
})

it.each([
  [
    'a text file',
    (file: string) => writeFileSync(file, 'no database '.repeat(500)),
    'the file is of another kind',
  ],
  ['a directory', (file: string) => mkdirSync(file), 'this path is a directory'],
])('./sluice tail names %s in the place of the outbox', async (_, make, reason) => {
  using workspace = openWorkspace()
  make(workspace.outboxFile)
  const { code, stderr } = await workspace.run('tail')
  const text = `outbox.file = ${workspace.outboxFile}: ${reason}. Name the outbox of the gateway`
  expect([code, stderr]).toEqual([2, expect.stringContaining(text)])
})
