import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { isMap, parse, parseDocument, stringify, type YAMLMap } from 'yaml'
import { defaults, loadConfig } from '../../config/config.ts'
import { variableOf } from '../../config/loading/environment.ts'
import { configKeys } from '../../config/loading/keys.ts'
import { valueAt, withValue } from '../../config/loading/nested-values.ts'
import { openConfigDir } from './config-fixture.ts'

const home = openConfigDir()
afterAll(() => home[Symbol.dispose]())
/** Those that have a default of their own: not what is in kafka.sasl and kafka.tls. */
const withDefault = configKeys.filter(({ path }) => valueAt(defaults, path) !== undefined)
const sample = readFileSync(new URL('../../config/sluice.yaml', import.meta.url), 'utf8')

describe('loading', () => {
  it('gives the defaults when nothing is set', () => {
    expect(loadConfig({ env: {} })).toEqual({ config: defaults })
    expect(home.configOf('')).toEqual(defaults)
    expect(home.configOf('# nothing\n')).toEqual(defaults)
  })

  it('puts the file over the defaults and the environment over the file', () => {
    const yaml = 'gateway:\n  id: a\n  mqtt: { port: 1884 }\n'
    const { gateway } = home.configOf(yaml, { SLUICE_GATEWAY_ID: 'b' })
    expect(gateway.id).toBe('b')
    expect(gateway.mqtt).toEqual({ ...defaults.gateway.mqtt, port: 1884 })
  })

  it('replaces lists, it does not mix them', () => {
    const { ingest } = home.configOf('ingest: { routes: [{ topic: "{site}/{zone}/{device}" }] }')
    expect(ingest.routes).toEqual([{ topic: '{site}/{zone}/{device}', format: 'json' }])
  })

  it('keeps what a route says', () => {
    const route = {
      topic: '{zone}',
      format: 'json',
      site: 'hq',
      device: 'x/y',
      time: { field: 'meta.at', unit: 'us' },
    }
    expect(home.configOf(stringify({ ingest: { routes: [route] } })).ingest.routes).toEqual([route])
  })

  it('gives the same object for what an alias names twice, without mixing them up', () => {
    const yaml = 'gateway: { http: &h { host: 127.0.0.1 } }\nbridge: { http: *h }\n'
    const config = home.configOf(yaml, { SLUICE_BRIDGE_HTTP_PORT: '7' })
    expect([config.gateway.http.port, config.bridge.http.port]).toEqual([9464, 7])
  })

  it('freezes all of it', () => {
    const config = home.configOf('')
    expect(() => Object.assign(config.ingest.routes[0]!, { topic: 'x' })).toThrow(TypeError)
    expect(Object.isFrozen(defaults.gateway.mqtt)).toBe(true)
  })

  it('gives back any part of the defaults that is written to a file or the environment', () => {
    const leaves = withDefault.filter(({ kind }) => kind !== 'group')
    const split = fc.tuple(fc.subarray(leaves), fc.subarray(leaves))
    fc.assert(
      fc.property(split, ([inFile, inEnv]) => {
        const value = (path: string[]) => valueAt(defaults, path)
        const yaml = inFile.reduce<unknown>((to, { path }) => withValue(to, path, value(path)), {})
        const text = ({ kind, path }: (typeof leaves)[number]) =>
          kind === 'structure' ? JSON.stringify(value(path)) : String(value(path))
        const env = Object.fromEntries(inEnv.map(key => [variableOf(key.path), text(key)]))
        expect(home.configOf(stringify(yaml), env)).toEqual(defaults)
      }),
    )
  })
})

describe('sluice.yaml', () => {
  it('equals the defaults', () => {
    expect(parse(sample)).toEqual(defaults)
    expect(home.configOf(sample)).toEqual(defaults)
  })

  it('has a comment above every key, with the unit of times and sizes', () => {
    const commentAt = (path: string[]) => {
      let map = parseDocument(sample).contents as YAMLMap
      for (const step of path.slice(0, -1)) map = map.get(step) as YAMLMap
      expect(isMap(map), path.join('.')).toBe(true)
      const at = map.items.findIndex(({ key }) => String(key) === path.at(-1))
      const key = map.items[at]?.key as { commentBefore?: string } | undefined
      // The parser gives what stands above the first key of a map to the map.
      return key?.commentBefore ?? (at === 0 ? map.commentBefore : undefined)
    }
    for (const { path } of withDefault) {
      const name = path.join('.')
      expect(commentAt(path)?.trim(), name).toMatch(/\w+ \w+.*\./s)
      if (name.endsWith('Ms')) expect(commentAt(path), name).toContain('milliseconds')
      if (name.endsWith('Bytes')) expect(commentAt(path), name).toContain('bytes')
    }
  })

  it('explains the keys that only a route, sasl and tls have', () => {
    const names = ['topic', 'format', 'site', 'zone', 'device', 'time', 'field', 'unit']
    const others = ['mechanism', 'username', 'passwordFile', 'caFile', 'certFile', 'keyFile']
    for (const name of [...names, ...others]) {
      const explained = new RegExp(`^ +# +(site, zone, )?(site, )?${name}\\b`, 'm')
      expect(explained.test(sample), name).toBe(true)
    }
  })
})
