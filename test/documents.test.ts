import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { configKeys, isKnown } from '../config/loading/keys.ts'
import { exitCodes } from '../config/process/exit-codes.ts'

/**
 * What a document names must exist: paths, commands with their options, metrics, configuration
 * keys and variables. CHANGELOG.md is left out, because a change may name what is no longer there.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const documents = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'],
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.md'))
    .map(name => join('docs', name)),
].filter(file => existsSync(join(root, file)))
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')
const topFolders = ['config', 'gateway', 'cloud-bridge', 'simulators', 'test', 'docs']
const tree = topFolders.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(name =>
    join(folder, name),
  ),
)
const code = tree
  .filter(file => file.endsWith('.ts') && !file.startsWith('test/'))
  .map(file => ({ file, text: textOf(file) }))
const manifest = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }

/** The code spans and the lines of code blocks of a document. */
function codeIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].flatMap(([, body]) =>
    body!.split('\n'),
  )
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`]+)`/g)]
  return [...blocks, ...spans.map(([, span]) => span!.replace(/\s+/g, ' '))]
}

/** The words of code spans and blocks, without quotes, brackets and final punctuation. */
const wordsIn = (text: string) =>
  codeIn(text)
    .flatMap(span => span.split(/[\s'"()=]+/))
    .map(word => word.replace(/[:,;.]+$/, ''))

/** `a/{b,c}.ts` as `a/b.ts` and `a/c.ts`. */
function expanded(path: string): string[] {
  const [braces, list] = /\{([^}]*)\}/.exec(path) ?? []
  if (braces === undefined) return [path]
  return list!.split(',').flatMap(choice => expanded(path.replace(braces, choice)))
}

/** Whether a path, or the end of a path, exists; `*` and `**` are wildcards. */
const isInTree = (path: string) =>
  expanded(path.replace(/^(\.\.?\/)+|\/$/g, '')).every(wanted => {
    const escaped = wanted.replace(/[.+()$^|[\]]/g, '\\$&')
    const pattern = escaped.replaceAll('**', '.+').replaceAll('*', '[^/]*')
    return [...topFolders, ...tree].some(file => new RegExp(`(^|/)${pattern}$`).test(file))
  })

/** GitHub's anchors of the headings of a document. */
const anchorsOf = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )

const missingIn = (find: (text: string, document: string) => string[]) =>
  documents.flatMap(file => find(textOf(file), file).map(name => `${file}: ${name}`))

describe('the documents', () => {
  it('name files and folders that exist, also by the end of their path', () => {
    const path = /^(config|gateway|cloud-bridge|simulators|test|docs)\/[\w./*{},-]*$/
    const end = /^[\w./*{},-]+\.(ts|avsc|c|py)$|^[\w-]+\/([\w-]+\/)*$/
    /** Folders of Kafka and of the archive's files. */
    const foreign = /^(bin|events)\/$/
    const wrong = missingIn(text =>
      wordsIn(text)
        .filter(word => path.test(word) || (end.test(word) && !foreign.test(word)))
        .filter(word => !isInTree(word)),
    )
    expect(wrong).toEqual([])
  })

  it('link to files and headings that exist', () => {
    const wrong = missingIn((text, document) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target]) => target!)
        .filter(target => !/^[a-z]+:/.test(target))
        .filter(target => {
          const [path, anchor] = target.split('#') as [string, string?]
          const file = path === '' ? document : normalize(join(dirname(document), path))
          if (!existsSync(join(root, file))) return true
          return anchor !== undefined && !anchorsOf(textOf(file)).includes(anchor)
        }),
    )
    expect(wrong).toEqual([])
  })

  it('name commands, subcommands, faults, benches and options that exist', async () => {
    const calls = documents.flatMap(file =>
      codeIn(textOf(file)).flatMap(line => callsIn(line).map(words => ({ file, words }))),
    )
    const wrong: string[] = []
    for (const { file, words } of calls) {
      for (const word of await unknownWordsIn(words)) wrong.push(`${file}: ${words[0]} ${word}`)
    }
    expect(calls.length).toBeGreaterThan(80)
    expect(wrong).toEqual([])
  }, 180_000)

  it('name scripts of npm that exist', () => {
    const wrong = missingIn(text =>
      [...text.matchAll(/npm run ([a-z:-]+)/g)]
        .map(([, script]) => script!)
        .filter(script => !Object.hasOwn(manifest.scripts, script)),
    )
    expect(wrong).toEqual([])
  })

  it('name metrics that exist', () => {
    const metrics = metricsOfCode()
    const wrong = missingIn(text =>
      [...text.matchAll(/sluice_[a-z_]+[a-z]/g)]
        .map(([name]) => name)
        .filter(name => !metrics.has(name.replace(/_(bucket|sum|count)$/, ''))),
    )
    expect(metrics.size).toBeGreaterThan(35)
    expect(wrong).toEqual([])
  })

  it('list every metric in docs/metrics.md, with its help text', () => {
    const document = textOf('docs/metrics.md')
    const wrong = [...metricsOfCode()].filter(
      ([name, help]) => !document.includes(`\`${name}\``) || !document.includes(help),
    )
    expect(wrong).toEqual([])
  })

  it('list every exit code in docs/exit-codes.md, and no other', () => {
    const rows = [...textOf('docs/exit-codes.md').matchAll(/^\| ([A-Z_]+) \| (\d+) \| (.*) \|$/gm)]
    const listed = rows.map(([, code, status, meaning]) => [
      code,
      { status: Number(status), meaning },
    ])
    expect(Object.fromEntries(listed)).toEqual(exitCodes)
  })

  it('name configuration keys that exist', () => {
    const tops = new Set(configKeys.map(({ path }) => path[0]!))
    const wrong = missingIn(text =>
      codeIn(text)
        .flatMap(span => span.split(/[\s'"()=,:]+/))
        .filter(word => /^[a-z][a-zA-Z]*(\.[a-zA-Z]+)+$/.test(word))
        .filter(word => tops.has(word.split('.')[0]!) && !/\.(db|ts|yaml|md|json)(\.|$)/.test(word))
        .filter(word => !isKnown(word.split('.'))),
    )
    expect(wrong).toEqual([])
  })

  it('name environment variables that exist', () => {
    const own = new Set(
      code.flatMap(({ text }) => [...text.matchAll(/SLUICE_[A-Z_]+/g)].map(([name]) => name)),
    )
    const ofKey = (path: readonly string[]) =>
      `SLUICE_${path.map(key => key.replace(/[A-Z]/g, '_$&').toUpperCase()).join('_')}`
    for (const { path } of configKeys) own.add(ofKey(path))
    const wrong = missingIn(text =>
      [...text.matchAll(/SLUICE_[A-Z_]+/g)].map(([name]) => name).filter(name => !own.has(name)),
    )
    expect(wrong).toEqual([])
  })

  it('keep lines within 120 characters, except in tables and code', () => {
    const wrong = missingIn(text =>
      text
        .replace(/^```[\s\S]*?^```/gm, '')
        .split('\n')
        .filter(line => line.length > 120 && !line.startsWith('|'))
        .filter(line => !/^!?\[|^\s*[-*]? ?\[[^\]]*\]\(/.test(line)),
    )
    expect(wrong).toEqual([])
  })

  it('stay as short as a reader has patience', () => {
    const lines = (file: string) => textOf(file).trimEnd().split('\n').length
    expect(lines('README.md')).toBeLessThanOrEqual(100)
    expect(lines('ARCHITECTURE.md')).toBeLessThanOrEqual(150)
  })
})

/** Every metric of gateway, bridge and consumers, with its help text. */
function metricsOfCode(): Map<string, string> {
  const text = String.raw`'[^'\n]*'|"[^"\n]*"`
  const pattern = new RegExp(
    String.raw`'(sluice_[a-z_]+)',?\s*(?:help:\s*)?((?:${text})(?:\s*\+\s*(?:${text}))*)`,
    'g',
  )
  const unquoted = (help: string) => help.replace(/['"]\s*\+\s*['"]/g, '').slice(1, -1)
  return new Map(
    code.flatMap(({ text }) =>
      [...text.matchAll(pattern)].map(([, name, help]) => [name!, unquoted(help!)] as const),
    ),
  )
}

/** The calls of ./sluice and of the bench in a line of code, each as its words. */
const callsIn = (line: string): string[][] =>
  line
    .replace(/npm start --/g, './sluice up')
    .replace(/npm run bench --/g, './sluice bench')
    .split(/(?=\.\/sluice )/)
    .flatMap(call => /(?:\.\/|^|\s)sluice ([a-z][^#>;]*)/.exec(call)?.slice(1) ?? [])
    .map(call => call.trim())
    .map(call => call.split(/[\s|]+/).map(word => word.replace(/[,.:]+$/, '')))
    .filter(([command]) => command !== 'exec')

const helps = new Map<string, Promise<string>>()

/** The help of a command, as the command prints it. */
function helpOf(words: readonly string[]): Promise<string> {
  const args = words[0] === 'bench' ? ['exec', 'test/bench/bench.ts'] : words
  const key = words.join(' ')
  const help =
    helps.get(key) ??
    promisify(execFile)(join(root, 'sluice'), [...args, '--help']).then(({ stdout }) => stdout)
  helps.set(key, help)
  return help
}

/**
 * The words of a call that no help names: command, subcommands, faults, benches, options. The
 * options of a call without a subcommand are those of any subcommand.
 */
async function unknownWordsIn([command = '', ...words]: string[]): Promise<string[]> {
  const names = (help: string, word: string) =>
    new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(help)
  if (command !== 'bench' && !names(await helpOf(['--help']), command)) return [command]
  const cloud = words.filter(word => word === '--cloud')
  const help = await helpOf([command, ...cloud])
  const end = words.findIndex(word => !/^[a-z][a-z-]*$/.test(word))
  const first = words.slice(0, end < 0 ? words.length : end)
  const plain = command === 'consume' ? [] : first
  const [, list] = /^Commands:\n([\s\S]*)/m.exec(help) ?? []
  const all = [...(list ?? '').matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!)
  const subcommands = all.length > 0 && plain.length > 0 ? plain : all
  const helpTexts = await Promise.all(
    subcommands.filter(name => name !== 'help').map(name => helpOf([command, name, ...cloud])),
  )
  const isOption = (word: string) => /^--[a-z]/.test(word)
  return [
    ...plain.filter(name => !names(help, name)),
    ...words.filter(isOption).filter(word => ![help, ...helpTexts].some(of => names(of, word))),
  ]
}
