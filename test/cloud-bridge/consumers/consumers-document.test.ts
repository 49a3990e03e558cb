import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { goldenEvent } from '../../config/event/events-fixture.ts'
import { openFilledApi } from './analytics/api/api-fixture.ts'

const at = (path: string) => new URL(`../../../${path}`, import.meta.url)
const text = readFileSync(at('docs/consumers.md'), 'utf8')
const handler = 'cloud-bridge/consumers/handlers/wasted-energy.ts'
const { http } = defaults.consumers.analytics

it('docs/consumers.md quotes the example as it is', () => {
  const [, quoted] = text.match(/```ts\n(.*?)```/s)!
  expect(quoted).toBe(readFileSync(at(handler), 'utf8'))
})

it('docs/consumers.md asks what the read API answers, and explains every field of it', async () => {
  const host = `http://${http.host}:${http.port}`
  const asked = [...text.matchAll(/curl '(.*?)'/g)].map(([, url]) => url!)
  expect(asked).toHaveLength(2)
  expect(asked.filter(url => !url.startsWith(host))).toEqual([])
  const measurements = [{ metric: 'energy_kwh', number: 7, flag: null, text: null, unit: null }]
  const receivedAt = Date.UTC(2026, 4, 1, 8)
  const event = { ...goldenEvent, zone: 'f2-north', observedAt: null, receivedAt, measurements }
  await using api = await openFilledApi(
    [event],
    () => 0,
    () => receivedAt + 60_000,
  )
  const answers = await Promise.all(asked.map(url => api.ask(url.slice(host.length))))
  const fields = answers.flatMap(({ body }) => body.aggregates.flatMap(Object.keys))
  const rows = [...text.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, row]) => row!.split(', '))
  const explained = rows.map(name => name.replaceAll('`', ''))
  expect(new Set(fields)).toEqual(new Set(explained.filter(name => !(name in defaults.consumers))))
})

it('docs/consumers.md names keys and files that there are', () => {
  const keys = [...text.matchAll(/`(consumers(?:\.\w+)+)`/g)].map(([, key]) => key!)
  const defaultOf = (key: string) =>
    key.split('.').reduce<unknown>((of, name) => (of as Record<string, unknown>)[name], defaults)
  expect(keys.filter(key => defaultOf(key) === undefined)).toEqual([])
  const files = [...text.matchAll(/\]\(([\w.]+)\)/g)].map(([, file]) => `docs/${file}`)
  expect(files.filter(file => !existsSync(at(file)))).toEqual([])
  const limits = { ...defaults.consumers.analytics, ...defaults.consumers.archive }
  const named = [...text.matchAll(/`(\w+(?:Max|Ms|Days))`/g)].map(([, name]) => name!)
  expect(named.filter(name => !(name in limits))).toEqual([])
})
