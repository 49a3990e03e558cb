import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/**
 * The content of the image that Dockerfile builds, laid out in a folder: the copied files, and the
 * packages that are not for tests. No Docker is needed.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')
const [, lastStage = ''] = textOf('Dockerfile').split(/^FROM .*\n(?![\s\S]*^FROM )/m)
const copied = [...lastStage.matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap(([, words]) => {
  const names = words!.split(' ')
  return names.slice(0, -1)
})
const image = mkdtempSync(join(tmpdir(), 'sluice-image-'))

beforeAll(() => {
  for (const name of copied) cpSync(join(root, name), join(image, name), { recursive: true })
  const { packages } = JSON.parse(textOf('package-lock.json'))
  for (const [path, { dev }] of Object.entries<{ dev?: boolean }>(packages)) {
    const isTop = /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path)
    const isNode = /^node_modules\/node-(linux|bin)-/.test(path)
    if (!isTop || isNode || dev || !existsSync(join(root, path))) continue
    mkdirSync(dirname(join(image, path)), { recursive: true })
    symlinkSync(join(root, path), join(image, path))
  }
})
afterAll(() => rmSync(image, { recursive: true, force: true }))

function run(...args: string[]) {
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter)
  const env = { PATH, HOME: image, TMPDIR: image }
  return spawnSync(join(image, 'sluice'), args, { cwd: image, env, encoding: 'utf8' })
}

describe('the image', () => {
  it('is allowed to have what it copies, and nothing of the tests', () => {
    const allowed = textOf('.dockerignore').matchAll(/^!(.*)$/gm)
    const names = [...allowed].map(([, name]) => name!)
    expect(names.toSorted()).toEqual([...copied, '.npmrc', 'package-lock.json'].toSorted())
    expect(copied).not.toContain('package-lock.json')
  })

  it('has every file that its files import', () => {
    const files = readdirSync(image, { recursive: true, encoding: 'utf8' }).filter(
      file => file.endsWith('.ts') && !file.startsWith('node_modules'),
    )
    const missing = files.flatMap(file =>
      [
        ...readFileSync(join(image, file), 'utf8').matchAll(
          /(?:from|import\(|URL\()\s*'(\.[^']+)'/g,
        ),
      ]
        .map(([, name]) => join(dirname(file), name!))
        .filter(name => !existsSync(join(image, name)))
        .map(name => `${file}: ${name}`),
    )
    expect(files.length).toBeGreaterThan(250)
    expect(missing).toEqual([])
  })

  it('runs every command, installs nothing, and says its version', () => {
    const list = execFileSync(join(root, 'sluice'), ['--help'], { encoding: 'utf8' })
    const commands = [...list.matchAll(/^ {2}([a-z0-9]+) /gm)].map(([, name]) => name!)
    expect(commands).toEqual(expect.arrayContaining(['up', 'status', 'simulate', 'rehearse']))
    const failed = commands.filter(name => run(name, '--help').status !== 0)
    expect(failed).toEqual([])
    expect(run('status', '--json')).toMatchObject({
      status: 1,
      stdout: '{"gateway":null,"bridge":null}\n',
      stderr: '',
    })
    expect(run('--version').stdout).toMatch(/^sluice \d/)
  }, 180_000)
})
