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
  /**
   * The longest time for which a value counts when no further value follows, in ms. Must be the
   * same as for the aggregation.
   */
  holdMaxMs: number
  now?: () => number
}

/** The longest name of a zone in a URL, in characters. Percent-encoding lengthens the name. */
const ZONE_MAX_LENGTH = 2000

/**
 * Opens the read API. The API reads committed state, so any process that can read the state answers
 * for all partitions. /openapi.json describes the API.
 */
export async function openAnalyticsApi(
  options: ApiOptions,
): Promise<AsyncDisposable & { handleRequest: RequestListener }> {
  const app = fastify({ routerOptions: { maxParamLength: ZONE_MAX_LENGTH } })
  // Fastify validates nothing: query.ts checks the requests, and the responses need no check.
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
    reply.status(404).send({ error: `there is no ${url}: GET /openapi.json lists all endpoints` }),
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
  const checkedQuery = (query: unknown, names: string[]): QueryParameters => {
    refuseUnknownParameters(query as QueryParameters, names)
    return query as QueryParameters
  }
  const pageRequestIn = (query: QueryParameters) => ({
    filter: parseFilter(query),
    cursor: parseCursor(query),
    limit: parseLimit(query),
  })

  app.get('/api/series', { schema: endpointSchemas.series }, async request => {
    const query = checkedQuery(request.query, parameterNamesOf('series'))
    const { filter, cursor, limit } = pageRequestIn(query)
    const series: object[] = []
    for await (const { partition, key, name, attributes } of listSeries(state, filter, cursor)) {
      if (series.length === limit) {
        return { series, next: encodeCursor({ partition, key, start: 0 }) }
      }
      series.push({ ...name, ...attributes })
    }
    return { series, next: null }
  })

  app.get('/api/aggregates', { schema: endpointSchemas.aggregates }, async request => {
    const query = checkedQuery(request.query, parameterNamesOf('aggregates'))
    const page = { ...parseWindowRange(query, now()), ...pageRequestIn(query) }
    const { windows, next } = await readWindowPage(state, page, holdMaxMs)
    const aggregates = windows.map(({ aggregate }) => ({ ...aggregate, isOpen: isOpen(aggregate) }))
    return { aggregates, next: next && encodeCursor(next) }
  })

  app.get('/api/zones/:zone/aggregates', { schema: endpointSchemas.zone }, async request => {
    const { zone } = request.params as { zone: string }
    const query = checkedQuery(request.query, parameterNamesOf('zone'))
    const page = { ...parseWindowRange(query, now()), ...pageRequestIn(query) }
    const filter = { ...page.filter, zone }
    const { zones, next } = await readZonePage(state, { ...page, filter }, holdMaxMs)
    const aggregates = zones.map(aggregate => ({ ...aggregate, isOpen: isOpen(aggregate) }))
    const cursor = next === null ? null : encodeCursor({ partition: 0, key: '', start: next })
    return { aggregates, next: cursor }
  })

  app.get('/api/totals', { schema: endpointSchemas.totals }, async ({ query }) => {
    checkedQuery(query, parameterNamesOf('totals'))
    return readTotals(state, holdMaxMs)
  })
}
