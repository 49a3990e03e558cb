import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  install,
  needed,
  npmCalls,
  root,
  run,
  start,
  tool,
  useLauncherFolder,
  waitMs,
} from './launcher-fixture.ts'

const commands =
  '  up  gateway  bridge  simulate  status  rehearse  ledger  archive  tail  export  deadletters' +
  '  qos2  replay  import  doctor  partitions  consume'

useLauncherFolder()

describe('./sluice', () => {
  it('prints its commands without installed packages', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    expect(stdout.match(/^ {2}\w+/gm)?.join('')).toBe(commands)
    expect(await npmCalls()).toEqual([])
  })

  it.each([
    [['nonsense'], /unknown command 'nonsense'\n[\s\S]*gateway/],
    [['gatewya'], /unknown command 'gatewya'\. Did you mean gateway\?\n/],
    [['toString'], /unknown command 'toString'/],
    [[], /no command[\s\S]*gateway/],
  ])('refuses %j with exit code 2 and the list of commands', async (args, reason) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(reason)
  })

  it.each([
    [['up', '--for', '30s'], 'simulators up --for 30s'],
    [['gateway', '--help'], 'gateway --help'],
    [['bridge', '--config', 'a b'], 'cloud-bridge --config a b'],
    [['tail', '--follow'], 'inspect tail --follow'],
    [['deadletters', 'show', '7'], 'inspect deadletters show 7'],
    [['deadletters', 'show', 'a/b', '--cloud'], 'dead-letters show a/b --cloud'],
    [['ledger', 'verify', '--json'], 'ledger verify --json'],
    [['exec', 'gateway/main.ts', 'up'], 'gateway up'],
  ])('runs the part of %j with the other arguments', async (args, printed) => {
    await install({ ...needed, ...tool })
    expect(await run(args)).toMatchObject({ code: 0, stdout: `${printed}\n` })
  })
})

describe('installing missing packages', () => {
  it('installs once, reports that on stderr, and leaves stdout to the part', async () => {
    const first = await run(['gateway'])
    expect(first).toMatchObject({ code: 0, stdout: 'gateway\n' })
    expect(first.stderr).toMatch(/installing the locked packages[\s\S]*noise of npm/)
    expect(await run(['gateway'])).toMatchObject({ stdout: 'gateway\n', stderr: '' })
    expect(await npmCalls()).toEqual(['ci --loglevel=error --include=optional --omit=dev'])
  })

  it('installs again when another version or a further package is locked', async () => {
    await install({ 'node_modules/needed': { version: '0.9.0' }, ...tool })
    await run(['gateway'])
    expect(await npmCalls()).toHaveLength(1)
    await install(tool)
    await run(['gateway'])
    expect(await npmCalls()).toHaveLength(2)
  })

  it('installs development packages only for exec', async () => {
    await install(needed)
    await run(['gateway'])
    expect(await npmCalls()).toEqual([])
    await run(['exec', join(root, 'gateway/main.ts')])
    expect(await npmCalls()).toEqual([expect.stringContaining('--include=dev')])
  })

  it('keeps the packages for tests of somebody who has some', async () => {
    await install({ 'node_modules/needed': { version: '0.9.0' }, ...tool })
    await run(['gateway'])
    expect(await npmCalls()).toEqual([expect.stringContaining('--include=dev')])
  })

  it('installs nothing in an image, which has no lock file', async () => {
    await rm(join(root, 'package-lock.json'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
    expect(await npmCalls()).toEqual([])
  })

  it('starts no part when the installation fails, and installs again at the next start', async () => {
    await writeFile(join(root, 'npm.fails'), '')
    const failed = await run(['gateway'])
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toContain('npm ci failed')
    await rm(join(root, 'npm.fails'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
  })

  it('installs in one of two processes while the other waits', async () => {
    const both = await Promise.all([run(['gateway']), run(['bridge'])])
    expect(both.map(({ stdout }) => stdout)).toEqual(['gateway\n', 'cloud-bridge\n'])
    expect(await npmCalls()).toHaveLength(1)
  })

  it('ignores the lock of a killed installation', async () => {
    await writeFile(join(root, 'npm.hangs'), '')
    const { child, ended } = start(['gateway'])
    const hanging = () => readFile(join(root, 'npm.hangs'), 'utf8').then(Number)
    await expect.poll(hanging, waitMs).toBeGreaterThan(0)
    child.kill('SIGKILL')
    process.kill(await hanging(), 'SIGKILL')
    await ended
    await rm(join(root, 'npm.hangs'))
    expect(await run(['gateway'])).toMatchObject({ code: 0, stdout: 'gateway\n' })
  })

  it('ends the installation on SIGINT', async () => {
    await writeFile(join(root, 'npm.hangs'), '')
    const { child, ended } = start(['gateway'])
    await expect.poll(npmCalls, waitMs).toHaveLength(1)
    child.kill('SIGINT')
    expect(await ended).toMatchObject({ code: 130, stdout: '' })
  })
})

it('prints its version without installed packages', async () => {
  await writeFile(join(root, 'package.json'), '{ "type": "module", "version": "1.2.3" }')
  expect(await run(['--version'])).toMatchObject({ code: 0, stdout: 'sluice 1.2.3\n' })
  expect(await run(['bridge', '--version'])).toMatchObject({ code: 0, stdout: 'sluice 1.2.3\n' })
  expect(await npmCalls()).toEqual([])
})

describe('the compile cache', () => {
  const compiled = () => readFile(join(root, 'helps'), 'utf8').catch(() => '')
  beforeEach(() => install({ ...needed, ...tool }))

  it('is filled with the part that starts, once, and again after a change of a file', async () => {
    for (const part of ['gateway', 'bridge', 'gateway']) await run([part])
    expect(await compiled()).toBe('gateway cloud-bridge ')
    await writeFile(join(root, 'gateway', 'broker.ts'), '')
    for (const part of ['gateway', 'bridge', 'bridge']) await run([part])
    expect(await compiled()).toBe('gateway cloud-bridge gateway cloud-bridge ')
  })

  it("is in the user's home when the project cannot be written", async () => {
    await writeFile(join(root, 'node_modules', '.cache'), 'a file in its place')
    await mkdir(join(root, 'home'))
    for (const part of ['gateway', 'gateway']) {
      expect(await run([part])).toMatchObject({ code: 0, stdout: 'gateway\n', stderr: '' })
    }
    expect(await compiled()).toBe('gateway ')
    expect(await readdir(join(root, 'home', '.cache', 'sluice'))).toHaveLength(1)
  })

  it('is left out, and nothing is compiled, when nothing can be written', async () => {
    await writeFile(join(root, 'node_modules', '.cache'), 'a file in its place')
    await writeFile(join(root, 'home'), 'a file in its place')
    for (const part of ['gateway', 'gateway']) {
      expect(await run([part])).toMatchObject({ code: 0, stdout: 'gateway\n', stderr: '' })
    }
    expect(await compiled()).toBe('')
  })
})
