import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { isMap, parse, parseDocument, stringify, type YAMLMap } from 'yaml'
import { defaults, loadConfig } from '../../config/config.ts'
import { variableOf } from '../../config/loading/environment.ts'
import { configKeys } from '../../config/loading/keys.ts'
import { valueAt, withValue } from '../../config/loading/nested-values.ts'
import { openConfigDir } from './config-fixture.ts'

const configDir = openConfigDir()
afterAll(() => configDir[Symbol.dispose]())
/** The keys that have a default of their own; the keys of kafka.sasl and kafka.tls have none. */
const keysWithDefault = configKeys.filter(({ path }) => valueAt(defaults, path) !== undefined)
const sample = readFileSync(new URL('../../config/sluice.yaml', import.meta.url), 'utf8')

describe('loading', () => {
  it('returns the defaults when nothing is set', () => {
    expect(loadConfig({ env: {} })).toEqual({ config: defaults })
    expect(configDir.configOf('')).toEqual(defaults)
    expect(configDir.configOf('# nothing\n')).toEqual(defaults)
  })

  it('overrides the defaults by the file and the file by the environment', () => {
    const yaml = 'gateway:\n  id: a\n  mqtt: { port: 1884 }\n'
    const { gateway } = configDir.configOf(yaml, { SLUICE_GATEWAY_ID: 'b' })
    expect(gateway.id).toBe('b')
    expect(gateway.mqtt).toEqual({ ...defaults.gateway.mqtt, port: 1884 })
  })

  it('replaces a list as a whole', () => {
    const { ingest } = configDir.configOf(
      'ingest: { routes: [{ topic: "{site}/{zone}/{device}" }] }',
    )
    expect(ingest.routes).toEqual([{ topic: '{site}/{zone}/{device}', format: 'json' }])
  })

  it('keeps every key of a route', () => {
    const route = {
      topic: '{zone}',
      format: 'json',
      site: 'hq',
      device: 'x/y',
      time: { field: 'meta.at', unit: 'us' },
    }
    expect(configDir.configOf(stringify({ ingest: { routes: [route] } })).ingest.routes).toEqual([
      route,
    ])
  })

  it('sets a key in one of two groups that share a YAML alias, not in both', () => {
    const yaml = 'gateway: { http: &h { host: 127.0.0.1 } }\nbridge: { http: *h }\n'
    const config = configDir.configOf(yaml, { SLUICE_BRIDGE_HTTP_PORT: '7' })
    expect([config.gateway.http.port, config.bridge.http.port]).toEqual([9464, 7])
  })

  it('freezes the configuration in depth', () => {
    const config = configDir.configOf('')
    expect(() => Object.assign(config.ingest.routes[0]!, { topic: 'x' })).toThrow(TypeError)
    expect(Object.isFrozen(defaults.gateway.mqtt)).toBe(true)
  })

  it('returns the defaults when any part of them is in the file or the environment', () => {
    const leaves = keysWithDefault.filter(({ kind }) => kind !== 'group')
    const split = fc.tuple(fc.subarray(leaves), fc.subarray(leaves))
    fc.assert(
      fc.property(split, ([inFile, inEnv]) => {
        const value = (path: string[]) => valueAt(defaults, path)
        const yaml = inFile.reduce<unknown>(
          (document, { path }) => withValue(document, path, value(path)),
          {},
        )
        const text = ({ kind, path }: (typeof leaves)[number]) =>
          kind === 'structure' ? JSON.stringify(value(path)) : String(value(path))
        const env = Object.fromEntries(inEnv.map(key => [variableOf(key.path), text(key)]))
        expect(configDir.configOf(stringify(yaml), env)).toEqual(defaults)
      }),
    )
  })
})

describe('sluice.yaml', () => {
  it('equals the defaults', () => {
    expect(parse(sample)).toEqual(defaults)
    expect(configDir.configOf(sample)).toEqual(defaults)
  })

  it('explains every key in a comment above the key, with the unit of times and sizes', () => {
    const commentAt = (path: string[]) => {
      let map = parseDocument(sample).contents as YAMLMap
      for (const name of path.slice(0, -1)) map = map.get(name) as YAMLMap
      expect(isMap(map), path.join('.')).toBe(true)
      const index = map.items.findIndex(({ key }) => String(key) === path.at(-1))
      const key = map.items[index]?.key as { commentBefore?: string } | undefined
      // The parser attaches the comment above the first key of a map to the map.
      return key?.commentBefore ?? (index === 0 ? map.commentBefore : undefined)
    }
    for (const { path } of keysWithDefault) {
      const name = path.join('.')
      expect(commentAt(path)?.trim(), name).toMatch(/\w+ \w+.*\./s)
      if (name.endsWith('Ms')) expect(commentAt(path), name).toContain('milliseconds')
      if (name.endsWith('Bytes')) expect(commentAt(path), name).toContain('bytes')
    }
  })

  it('explains the keys of routes, sasl and tls', () => {
    const routeKeys = ['topic', 'format', 'site', 'zone', 'device', 'time', 'field', 'unit']
    const loginKeys = ['mechanism', 'username', 'passwordFile', 'caFile', 'certFile', 'keyFile']
    for (const name of [...routeKeys, ...loginKeys]) {
      const explanation = new RegExp(`^ +# +(site, zone, )?(site, )?${name}\\b`, 'm')
      expect(explanation.test(sample), name).toBe(true)
    }
  })
})
