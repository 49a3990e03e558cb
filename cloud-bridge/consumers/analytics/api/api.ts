import type { RequestListener } from 'node:http'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance } from 'fastify'
import { type ConsumerStateAccess, StateUnavailable } from '../../state/state.ts'
import { endpointSchemas, parameterNamesOf } from './description.ts'
import {
  BadRequest,
  encodeCursor,
  parseCursor,
  parseFilter,
  parseLimit,
  parseWindowRange,
  type QueryParameters,
  refuseUnknownParameters,
} from './query.ts'
import { listSeries } from './series-list.ts'
import { readTotals } from './totals.ts'
import { readWindowPage } from './windows.ts'
import { readZonePage } from './zones.ts'

export type ApiOptions = {
  state: ConsumerStateAccess
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
export async function openAnalyticsApi(
  options: ApiOptions,
): Promise<AsyncDisposable & { handleRequest: RequestListener }> {
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
    const status = error instanceof BadRequest ? 400 : error instanceof StateUnavailable ? 503 : 500
    return reply.status(status).send({ error: message })
  })
  app.setNotFoundHandler(async ({ url }, reply) =>
    reply.status(404).send({ error: `there is no ${url}: GET /openapi.json names all there is` }),
  )
  await app.register(async scope => addRoutes(scope, options))
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  await app.ready()
  return {
    handleRequest: (request, response) => app.routing(request, response),
    [Symbol.asyncDispose]: () => app.close(),
  }
}

function addRoutes(app: FastifyInstance, { state, holdMaxMs, now = Date.now }: ApiOptions): void {
  const isOpen = ({ end }: { end: string }) => Date.parse(end) > now()
  const ask = (query: unknown, names: string[]): QueryParameters => {
    const asked = query as QueryParameters
    refuseUnknownParameters(asked, names)
    return asked
  }
  const asking = (asked: QueryParameters) => ({
    filter: parseFilter(asked),
    place: parseCursor(asked),
    limit: parseLimit(asked),
  })

  app.get('/api/series', { schema: endpointSchemas.series }, async ({ query }) => {
    const { filter, place, limit } = asking(ask(query, parameterNamesOf('series')))
    const series: object[] = []
    for await (const { partition, key, name, about } of listSeries(state, filter, place)) {
      if (series.length === limit)
        return { series, next: encodeCursor({ partition, key, start: 0 }) }
      series.push({ ...name, ...about })
    }
    return { series, next: null }
  })

  app.get('/api/aggregates', { schema: endpointSchemas.aggregates }, async ({ query }) => {
    const asked = ask(query, parameterNamesOf('aggregates'))
    const wanted = { ...parseWindowRange(asked, now()), ...asking(asked) }
    const { windows, next } = await readWindowPage(state, wanted, holdMaxMs)
    const told = windows.map(({ aggregate }) => ({ ...aggregate, isOpen: isOpen(aggregate) }))
    return { aggregates: told, next: next && encodeCursor(next) }
  })

  app.get('/api/zones/:zone/aggregates', { schema: endpointSchemas.zone }, async request => {
    const { zone } = request.params as { zone: string }
    const asked = ask(request.query, parameterNamesOf('zone'))
    const wanted = { ...parseWindowRange(asked, now()), ...asking(asked) }
    const filter = { ...wanted.filter, zone }
    const { zones, next } = await readZonePage(state, { ...wanted, filter }, holdMaxMs)
    const told = zones.map(one => ({ ...one, isOpen: isOpen(one) }))
    const cursor = next === null ? null : encodeCursor({ partition: 0, key: '', start: next })
    return { aggregates: told, next: cursor }
  })

  app.get('/api/totals', { schema: endpointSchemas.totals }, async ({ query }) => {
    ask(query, parameterNamesOf('totals'))
    return readTotals(state, holdMaxMs)
  })
}
