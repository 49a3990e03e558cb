import type { RequestListener } from 'node:http'
import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type ConsumerStateAccess, StateUnavailable } from '../../state/state.ts'
import { createCalendars, type SiteTimeZones } from '../model/calendar.ts'
import { type AnswerBudget, createAnswerBudget, TooManyAnswers } from './answer-budget.ts'
import { readCompleteness } from './completeness.ts'
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
import type { ApiContext } from './window-range.ts'
import { readWindowPage } from './windows.ts'
import { readZonePage } from './zones.ts'

export type ApiOptions = {
  state: ConsumerStateAccess
  /** The settings of the aggregation. */
  holdMaxMs: number
  clockWaitMs: number
  now?: () => number
  budget?: AnswerBudget
} & Partial<SiteTimeZones>

/** A client that needs longer than this to read an answer loses its connection. */
const ANSWER_MAX_MS = 60_000
const RETRY_AFTER_S = 2
/** How many entries of a page an entry counts as in the budget. */
const ZONE_ENTRY_ROWS = 4
const TOTALS_ROWS = 1000

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
    const isBusy = error instanceof TooManyAnswers
    const isTemporary = isBusy || error instanceof StateUnavailable
    if (isTemporary) reply.header('retry-after', String(RETRY_AFTER_S))
    const status = error instanceof BadRequest ? 400 : isTemporary ? 503 : 500
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

function addRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { state, holdMaxMs, clockWaitMs, now = Date.now } = options
  const { timeZone = 'UTC', siteTimeZones = [], budget = createAnswerBudget() } = options
  const context: ApiContext = {
    holdMaxMs,
    calendars: createCalendars({ timeZone, siteTimeZones }),
  }
  const withState = <T extends { end: string }>(window: T) => ({
    ...window,
    isOpen: Date.parse(window.end) > now(),
  })
  const completeness = () => readCompleteness(state, clockWaitMs)

  app.get('/api/series', { schema: endpointSchemas.series }, async (request, reply) => {
    const { filter, cursor, limit } = pageRequestIn(checkedQuery(request, 'series'))
    await admit(budget, limit, reply)
    const series: object[] = []
    for await (const listed of listSeries(state, filter, cursor, context.calendars)) {
      const { partition, key, name, attributes } = listed
      if (series.length === limit) {
        return { series, next: encodeCursor({ partition, key, start: 0 }) }
      }
      series.push({ ...name, ...attributes, timeZone: context.calendars.of(name.site).timeZone })
    }
    return { series, next: null }
  })

  app.get('/api/aggregates', { schema: endpointSchemas.aggregates }, async (request, reply) => {
    const query = checkedQuery(request, 'aggregates')
    const page = { ...parseWindowRange(query, now()), ...pageRequestIn(query) }
    await admit(budget, page.limit, reply)
    const { windows, next } = await readWindowPage(state, page, context)
    const cursor = next && encodeCursor(next)
    return { aggregates: windows.map(withState), next: cursor, ...(await completeness()) }
  })

  app.get(
    '/api/zones/:zone/aggregates',
    { schema: endpointSchemas.zone },
    async (request, reply) => {
      const { zone } = request.params as { zone: string }
      const query = checkedQuery(request, 'zone')
      const page = { ...parseWindowRange(query, now()), ...pageRequestIn(query) }
      const filter = { ...page.filter, zone }
      await admit(budget, page.limit * ZONE_ENTRY_ROWS, reply)
      const { zones, next } = await readZonePage(state, { ...page, filter }, context)
      const cursor = next === null ? null : encodeCursor({ partition: 0, key: '', start: next })
      return { aggregates: zones.map(withState), next: cursor, ...(await completeness()) }
    },
  )

  app.get('/api/totals', { schema: endpointSchemas.totals }, async (request, reply) => {
    checkedQuery(request, 'totals')
    await admit(budget, TOTALS_ROWS, reply)
    return { ...(await readTotals(state, context)), ...(await completeness()) }
  })
}

function checkedQuery(
  { query }: FastifyRequest,
  endpoint: Parameters<typeof parameterNamesOf>[0],
): QueryParameters {
  refuseUnknownParameters(query as QueryParameters, parameterNamesOf(endpoint))
  return query as QueryParameters
}

const pageRequestIn = (query: QueryParameters) => ({
  filter: parseFilter(query),
  cursor: parseCursor(query),
  limit: parseLimit(query),
})

/**
 * Waits for room for an answer. The room is free again when the client has the answer, has gone
 * away, or has not read the answer within `ANSWER_MAX_MS`.
 */
async function admit(budget: AnswerBudget, rows: number, { raw }: FastifyReply): Promise<void> {
  const gone = new AbortController()
  const onClose = () => gone.abort(new Error('the client has gone away'))
  raw.once('close', onClose)
  const release = await budget.admit(rows, gone.signal)
  const timer = setTimeout(() => raw.destroy(), ANSWER_MAX_MS).unref()
  raw.once('close', () => {
    clearTimeout(timer)
    release()
  })
  if (raw.closed) release()
}
