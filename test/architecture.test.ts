import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/** Each layer, inner layers first, with the other layers from which the layer may import. */
const layers = {
  'gateway/store': ['config'],
  config: [],
  gateway: ['gateway/store', 'config'],
  'cloud-bridge': ['gateway/store', 'config'],
  simulators: ['cloud-bridge', 'gateway/store', 'config'],
  test: ['simulators', 'cloud-bridge', 'gateway', 'gateway/store', 'config'],
} as const

/**
 * Which files may import each library: one file, one folder, or the same file of several folders.
 */
const homes: Record<string, RegExp> = {
  '@datadog/sketches-js': /^cloud-bridge\/consumers\/analytics\/model\/sketch\.ts$/,
  '@fastify/swagger': /^cloud-bridge\/consumers\/analytics\/api\/api\.ts$/,
  '@platformatic/kafka': /^cloud-bridge\/kafka\/platformatic\//,
  '@prometheus-io/client': /^(gateway\/http\/|cloud-bridge\/(forward|consumers)\/metrics\.ts$)/,
  aedes: /^gateway\/mqtt\/(broker|aedes-(internals|delivery))\.ts$/,
  'aedes-persistence': /^gateway\/mqtt\/aedes-internals\.ts$/,
  avsc: /^config\/(event\/sensor-reading|schemas\/released)\.ts$/,
  'better-sqlite3': /^(gateway\/store|simulators\/rehearse|cloud-bridge\/consumers\/state)\//,
  commander: /(\/main|^config\/process\/command-line)\.ts$/,
  'csv-parse': /^cloud-bridge\/recordings\//,
  fastify: /^cloud-bridge\/consumers\/analytics\/api\/api\.ts$/,
  hyparquet: /^cloud-bridge\/consumers\/archive\/parquet\//,
  'hyparquet-writer': /^cloud-bridge\/consumers\/archive\/parquet\//,
  kafkajs: /^cloud-bridge\/kafka\/kafkajs\//,
  mqtt: /^simulators\/devices\//,
  'node-cron': /^gateway\/schedule\.ts$/,
  pg: /^cloud-bridge\/consumers\/state\/postgres-connection\.ts$/,
  qlobber: /^gateway\/mqtt\/aedes-delivery\.ts$/,
  pino: /^config\/process\/log\.ts$/,
  yaml: /^config\/loading\/document\.ts$/,
  zod: /^config\/(schema|value-kinds|loading\/(keys|schema-check))\.ts$/,
}

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = ['config', 'gateway', 'cloud-bridge', 'simulators', 'test']
const files = folders.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && !entry.name.endsWith('.pyc'))
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length)),
)
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')
const source = new Map(
  files.filter(file => file.endsWith('.ts')).map(file => [file, textOf(file)] as const),
)
const productFiles = [...source].filter(([file]) => !file.startsWith('test/'))

/** All modules that a file names: imports of values and types, workers, require. */
const modulesIn = (text: string) =>
  [...text.matchAll(/(?:\bfrom |\bimport |\bimport\(|new URL\(|\)\()'([^'\n]+)'/g)].map(
    ([, name]) => name!,
  )
const importsOf = (file: string) =>
  modulesIn(source.get(file) ?? '')
    .filter(name => /^\.\.?\/.*\.ts$/.test(name))
    .map(name => join(dirname(file), name))
const layerOf = (file: string) =>
  Object.keys(layers).find(layer => file.startsWith(`${layer}/`)) as keyof typeof layers

describe('the architecture', () => {
  it('is tested on all files and imports', () => {
    expect(source.size).toBeGreaterThan(80)
    expect(importsOf('gateway/ingest/writer.ts')).toContain('gateway/ingest/writer-thread.ts')
    expect(importsOf('gateway/mqtt/broker.ts')).toContain('gateway/mqtt/qos2-sessions.ts')
    expect(modulesIn(source.get('gateway/mqtt/aedes-internals.ts')!)).toContain('aedes-persistence')
  })

  it('has imports only from a layer to the layers that it may import', () => {
    const wrong = [...source.keys()].flatMap(file => {
      const own = layerOf(file)
      const allowed: readonly string[] = [own, ...layers[own]]
      return importsOf(file)
        .filter(imported => !allowed.includes(layerOf(imported)))
        .map(imported => `${file} imports ${imported}`)
    })
    expect(wrong).toEqual([])
  })

  it('has no cycles of imports, types included', () => {
    const visited = new Set<string>()
    const cycles: string[] = []
    const visit = (file: string, path: string[]) => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      if (visited.has(file) || path.includes(file)) return
      for (const imported of importsOf(file)) visit(imported, [...path, file])
      visited.add(file)
    }
    for (const file of source.keys()) visit(file, [])
    expect(cycles).toEqual([])
  })

  it('imports each library only where its entry allows', () => {
    const wrong = productFiles.flatMap(([file, text]) =>
      modulesIn(text)
        .filter(name => !/^[./]|^node:/.test(name))
        .map(name => name.match(/^(?:@[^/]+\/)?[^/]+/)![0])
        .filter(library => !homes[library]?.test(file))
        .map(library => `${file} imports ${library}`),
    )
    expect(wrong).toEqual([])
  })

  it('reads environment and signals in main.ts files only', () => {
    const wrong = productFiles.flatMap(([file, text]) => {
      const isMain = basename(file) === 'main.ts'
      const reads = /\bprocess\.env\b/.test(text) && !isMain
      const listens =
        /\bprocess\.(on|once)\(/.test(text) && !isMain && file !== 'config/process/lifetime.ts'
      return reads || listens ? [file] : []
    })
    expect(wrong).toEqual([])
  })

  it('takes exit statuses from one table', () => {
    const literal = /process\.exit\(\d|process\.exitCode = \d/
    const wrong = productFiles.filter(([, text]) => literal.test(text)).map(([file]) => file)
    expect(wrong).toEqual([])
  })

  it('has files of at most 300 lines and lines of at most 100 characters', () => {
    const long = [...source].filter(([, text]) => text.trimEnd().split('\n').length > 300)
    expect(long.map(([file]) => file)).toEqual([])
    // The formatter keeps lines short, except for long texts and imports of one name.
    const isText = /^\s*(it\(|['"`]|import )/
    const wide = [...source].flatMap(([file, text]) =>
      text.split('\n').flatMap((line, index) => {
        const isWide = [...line].length > 100 && !isText.test(line)
        return isWide ? [`${file}:${index + 1}`] : []
      }),
    )
    expect(wide).toEqual([])
  })

  it('has no vague file names', () => {
    const vague = /(^|\/)(utils?|common|types?|index)(\.[^/]*|\/.*)?$/
    expect(files.filter(file => vague.test(file))).toEqual([])
  })

  it('contains no path of a particular machine', () => {
    const machinePath = /(?<![\w.}\])*~])\/(work|opt|root|home|Users|tmp|mnt)\/\w/
    expect(files.filter(file => machinePath.test(textOf(file)))).toEqual([])
  })
})
