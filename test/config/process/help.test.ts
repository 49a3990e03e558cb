import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))
const run = promisify(execFile)
const helpOf = async (...words: string[]) =>
  (await run(process.execPath, [launcher, ...words, '--help'])).stdout

/** The commands that a help lists. */
const listedIn = (help: string) =>
  [...help.matchAll(/^ {2}([a-z0-9]+) /gm)].map(([, name]) => name!)

/** The help of every command and subcommand, by its words. */
async function allHelps(): Promise<Map<string, string>> {
  const helps = new Map<string, string>()
  for (const command of listedIn(await helpOf())) {
    const help = await helpOf(command)
    helps.set(command, help)
    const [, list = ''] = /^Commands:\n([\s\S]*)/m.exec(help) ?? []
    for (const subcommand of listedIn(list).filter(name => name !== 'help')) {
      helps.set(`${command} ${subcommand}`, await helpOf(command, subcommand))
    }
  }
  return helps
}

describe('the help of every command', () => {
  it('shows no default that differs from start to start or means nothing to a person', async () => {
    const helps = await allHelps()
    expect(helps.size).toBeGreaterThan(18)
    const wrong = [...helps].flatMap(([words, help]) =>
      [...help.matchAll(/\(default: [^)]*(\d{10}|Infinity|NaN|\{|undefined|null)[^)]*\)/g)].map(
        ([found]) => `${words}: ${found}`,
      ),
    )
    expect(wrong).toEqual([])
    expect(helps.get('export')).toContain('(default: now)')
    expect(helps.get('replay')).toContain('(default: now)')
  }, 180_000)

  it('is not needed for a slip of the finger: commands and options are suggested', async () => {
    const failure = (...args: string[]) =>
      run(process.execPath, [launcher, ...args]).then(
        () => '',
        ({ code, stderr }) => `${code} ${stderr}`,
      )
    expect(await failure('gatway')).toMatch(/^2 [\s\S]*Did you mean gateway\?/)
    expect(await failure('gateway', '--confg', 'x')).toMatch(/^2 [\s\S]*Did you mean --config\?/)
    expect(await failure('ledger', 'verfy')).toMatch(/^2 [\s\S]*Did you mean verify\?/)
    expect(await failure('deadletters', 'lst')).toMatch(/^2 [\s\S]*Did you mean list\?/)
    expect(await failure('rehearse', 'kil')).toMatch(/^2 [\s\S]*Allowed choices are .*kill/)
  }, 180_000)

  it('is not needed for a topic that Kafka refuses, or a retirement without a reason', async () => {
    const failure = (...args: string[]) =>
      run(process.execPath, [launcher, ...args]).then(
        () => '',
        ({ code, stderr }) => `${code} ${stderr}`,
      )
    for (const command of [
      'import file.csv',
      'replay --from -1h --archive a',
      'consume analytics',
    ]) {
      expect(await failure(...command.split(' '), '--topic', 'a b')).toMatch(
        /^2 [\s\S]*A-Z, a-z, 0-9/,
      )
    }
    expect(await failure('ledger', 'retire', 'hq', '--reason', ' ')).toMatch(/^2 [\s\S]*Write why/)
  }, 180_000)

  it('is not needed when no broker answers: commands name the cause and the cure', async () => {
    const env = { ...process.env, SLUICE_KAFKA_BROKERS: '127.0.0.1:1' }
    for (const words of ['deadletters list --cloud', 'ledger verify']) {
      const failed = run(process.execPath, [launcher, ...words.split(' ')], { env })
      const { stderr } = await failed.then(
        () => ({ stderr: '' }),
        error => error,
      )
      expect(stderr).toMatch(/Kafka at 127.0.0.1:1 cannot be read: .*connection refused: is the/)
      expect(stderr).not.toContain('?.')
    }
  }, 180_000)

  it('has its version beside it', async () => {
    const { stdout } = await run(process.execPath, [launcher, '--version'])
    expect(stdout).toMatch(/^sluice \d+\.\d+\.\d+\n$/)
    const { stdout: ofPart } = await run(process.execPath, [launcher, 'gateway', '--version'])
    expect(ofPart).toBe(stdout)
  })
})
