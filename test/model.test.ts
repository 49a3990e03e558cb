import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const PROGRAM = join(import.meta.dirname, 'model.ts')

function run(...options: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...options], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

it('the model prints a usage text with --help', () => {
  const { status, stdout } = run('--help')
  expect(status).toBe(0)
  expect(stdout).toContain('Usage: npm run model -- ledger')
  for (const option of ['--histories N', '--seed S', '--real']) expect(stdout).toContain(option)
})

it('the model refuses an unknown option, an unknown subject and a wrong number', () => {
  for (const [options, problem] of [
    [['ledger', '--history', '5'], "Unknown option '--history'"],
    [['stores'], 'say what to test: ledger'],
    [['ledger', '--histories', '1.5'], '--histories is "1.5": give a whole number of at least 1'],
    [['ledger', '--seed', 'x'], '--seed is "x": give a whole number of at least 0'],
  ] as const) {
    const { status, stdout, stderr } = run(...options)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(problem)
    expect(stderr).toContain('Usage: npm run model -- ledger')
  }
})

it('the model says how many histories agree with the truth', () => {
  expect(run('ledger', '--histories', '3', '--seed', '5')).toMatchObject({
    status: 0,
    stdout: '3 histories, none fails\n',
  })
})
