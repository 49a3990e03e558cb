import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/**
 * Words of the former private language that docs/glossary.md replaces. A name may contain none of
 * them.
 */
const BANNED = [
  ...['told', 'bury', 'buried', 'burial', 'settle', 'settled', 'came', 'heard', 'gone', 'wreck'],
  ...['apart', 'cutting', 'turned', 'piece', 'pieces', 'taking', 'taken', 'nudge', 'whole'],
  ...['patience', 'mend', 'heal', 'healed', 'healing', 'again', 'anew', 'behind', 'those'],
  ...['tell', 'tells', 'take', 'takes', 'come', 'comes', 'look', 'due', 'settles', 'joined'],
  ...['speaker', 'teller', 'errand', 'letting', 'belongings', 'held', 'looks', 'shed', 'wholes'],
]
/** Words that are banned as a pair. */
const BANNED_PAIRS = ['let-go', 'sharing-out', 'came-to', 'made-anew']
/** Words that mean nothing in a file name. */
const VAGUE_FILES = /(^|\/)(utils?|common|types?|index|misc|helpers?)(\.[^/]*|\/.*)?$/
const FILES_PER_FOLDER = 16

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = ['config', 'gateway', 'cloud-bridge', 'simulators', 'test']
const files = folders.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(ts|c|py)$/.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length)),
)
const exportsIn = (file: string) => {
  const text = readFileSync(join(root, file), 'utf8')
  const modifiers = '(?:declare |default |async |abstract )*'
  const kinds = '(function\\*?|const|let|class|type|interface)'
  const pattern = new RegExp(`^export ${modifiers}${kinds} (\\w+)`, 'gm')
  return [...text.matchAll(pattern)].map(([, kind, name]) => ({ kind: kind!, name: name! }))
}
const wordsOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
const bannedIn = (name: string) => {
  const words = wordsOf(name)
  const pairs = words.slice(1).map((word, index) => `${words[index]}-${word}`)
  return [
    ...words.filter(word => BANNED.includes(word)),
    ...pairs.filter(pair => BANNED_PAIRS.includes(pair)),
  ]
}

describe('the style', () => {
  it('finds the files and their exports', () => {
    expect(files.length).toBeGreaterThan(500)
    expect(exportsIn('config/config.ts').map(({ name }) => name)).toContain('loadConfig')
    expect(bannedIn('startLetGo')).toEqual(['let-go'])
    expect(bannedIn('cameBefore')).toEqual(['came'])
    expect(isStopped('export function startX() {\n  return 1\n}\n', 'startX')).toBe(false)
    expect(isStopped('export function openX() {\n  return { close }\n}\n', 'openX')).toBe(true)
  })

  it('has no word of the private language in a file name', () => {
    const wrong = files.flatMap(file =>
      bannedIn(file.replace(/\.[a-z.]+$/, '')).map(word => `${file}: ${word}`),
    )
    expect(wrong).toEqual([])
    expect(files.filter(file => VAGUE_FILES.test(file))).toEqual([])
  })

  it('has no word of the private language in an exported name', () => {
    const wrong = files.flatMap(file =>
      exportsIn(file).flatMap(({ name }) =>
        bannedIn(name).map(word => `${file}: ${name} (${word})`),
      ),
    )
    expect(wrong).toEqual([])
  })

  it(`has at most ${FILES_PER_FOLDER} source files in a folder`, () => {
    const counts = Map.groupBy(files, dirname)
    const wrong = [...counts].filter(([, inside]) => inside.length > FILES_PER_FOLDER)
    expect(wrong.map(([folder, inside]) => `${folder}: ${inside.length}`)).toEqual([])
  })

  it('exports no type name twice in a folder', () => {
    const wrong = [...Map.groupBy(files, dirname)].flatMap(([folder, inside]) => {
      const types = inside.flatMap(file =>
        exportsIn(file)
          .filter(({ kind }) => ['type', 'interface', 'class'].includes(kind))
          .map(({ name }) => ({ name, file: basename(file) })),
      )
      return [...Map.groupBy(types, ({ name }) => name)]
        .filter(([, places]) => places.length > 1)
        .map(([name, places]) => `${folder}: ${name} in ${places.map(({ file }) => file)}`)
    })
    expect(wrong).toEqual([])
  })

  it('creates values, and starts only what must be stopped', () => {
    // A function that starts or opens something returns a promise, a disposable or a function that
    // stops it.
    const wrong = files
      .filter(file => !file.startsWith('test/'))
      .flatMap(file =>
        exportsIn(file)
          .filter(
            ({ kind, name }) => kind.startsWith('function') && /^(start|open)[A-Z]/.test(name),
          )
          .filter(({ name }) => !isStopped(readFileSync(join(root, file), 'utf8'), name))
          .map(({ name }) => `${file}: ${name}`),
      )
    expect(wrong).toEqual([])
  })
})

/** Whether the text of a function, up to the next top-level one, names a way to stop or close. */
function isStopped(text: string, name: string): boolean {
  const from = text.search(new RegExp(`^export (async )?function\\*? ${name}\\b`, 'm'))
  // Without its own name, which begins with start or open.
  const rest = text.slice(from).replace(name, '')
  const end = rest.search(/\n}\n/)
  const body = end < 0 ? rest : rest.slice(0, end)
  const ways = 'close|stop|dispose|asyncDispose|Disposable|AsyncDisposable|signal'
  return new RegExp(`\\b(${ways}|open[A-Z]\\w+|start[A-Z]\\w+)\\b`).test(body)
}
