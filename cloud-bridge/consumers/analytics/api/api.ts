import type { RequestListener } from 'node:http'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import { type AnyVersion, StateAway } from '../../state/state.ts'
import { descriptions, namesOf } from './description.ts'
import {
  type Asked,
  BadQuestion,
  cursorIn,
  cursorOf,
  filterIn,
  limitIn,
  onlyWith,
  windowsIn,
} from './query.ts'
import { seriesIn } from './series-list.ts'
import { totalsOf } from './totals.ts'
import { windowsPage } from './windows.ts'
import { zonePage } from './zones.ts'

export type ApiOptions = {
  state: AnyVersion
  /** How long a value holds, as the windows were made. */
  holdMaxMs: number
  now?: () => number
}

/** A zone's name in an address, its characters written as %2F at worst. */
const ZONE_MAX_LENGTH = 2000

/**
 * What answers questions about results, from what is committed: so any process that reaches the
 * state answers for all partitions. /openapi.json describes it.
 */
export async function openApi(
  options: ApiOptions,
): Promise<AsyncDisposable & { answer: RequestListener }> {
  const app = fastify({ routerOptions: { maxParamLength: ZONE_MAX_LENGTH } })
  // Questions are checked where they are read; what is given is of our own making.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice analytics',
        version: '1',
        description: 'Counts, means, percentiles, energy and occupancy in windows of time.',
      },
    },
  })
  app.setErrorHandler(async (error, _request, reply) => {
    const { message } = error as Error
    const status = error instanceof BadQuestion ? 400 : error instanceof StateAway ? 503 : 500
    return reply.status(status).send({ error: message })
  })
  app.setNotFoundHandler(async ({ url }, reply) =>
    reply.status(404).send({ error: `there is no ${url}: GET /openapi.json names all there is` }),
  )
  await app.register(async scope => addRoutes(scope, options))
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  await app.ready()
  return {
    answer: (request, response) => app.routing(request, response),
    [Symbol.asyncDispose]: () => app.close(),
  }
}

function addRoutes(app: FastifyInstance, { state, holdMaxMs, now = Date.now }: ApiOptions): void {
  const isOpen = ({ end }: { end: string }) => Date.parse(end) > now()
  const ask = (query: unknown, names: string[]): Asked => {
    const asked = query as Asked
    onlyWith(asked, names)
    return asked
  }
  const asking = (asked: Asked) => ({
    filter: filterIn(asked),
    place: cursorIn(asked),
    limit: limitIn(asked),
  })

  app.get('/api/series', { schema: descriptions.series }, async ({ query }) => {
    const { filter, place, limit } = asking(ask(query, namesOf('series')))
    const series: object[] = []
    for await (const { partition, key, name, about } of seriesIn(state, filter, place)) {
      if (series.length === limit) return { series, next: cursorOf({ partition, key, start: 0 }) }
      series.push({ ...name, ...about })
    }
    return { series, next: null }
  })

  app.get('/api/aggregates', { schema: descriptions.aggregates }, async ({ query }) => {
    const asked = ask(query, namesOf('aggregates'))
    const wanted = { ...windowsIn(asked, now()), ...asking(asked) }
    const { windows, next } = await windowsPage(state, wanted, holdMaxMs)
    const told = windows.map(({ aggregate }) => ({ ...aggregate, isOpen: isOpen(aggregate) }))
    return { aggregates: told, next: next && cursorOf(next) }
  })

  app.get('/api/zones/:zone/aggregates', { schema: descriptions.zone }, async request => {
    const { zone } = request.params as { zone: string }
    const asked = ask(request.query, namesOf('zone'))
    const wanted = { ...windowsIn(asked, now()), ...asking(asked) }
    const filter = { ...wanted.filter, zone }
    const { zones, next } = await zonePage(state, { ...wanted, filter }, holdMaxMs)
    const told = zones.map(one => ({ ...one, isOpen: isOpen(one) }))
    const cursor = next === null ? null : cursorOf({ partition: 0, key: '', start: next })
    return { aggregates: told, next: cursor }
  })

  app.get('/api/totals', { schema: descriptions.totals }, async ({ query }) => {
    ask(query, namesOf('totals'))
    return totalsOf(state, holdMaxMs)
  })
}
