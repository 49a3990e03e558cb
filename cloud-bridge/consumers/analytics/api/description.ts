import { BASE_SIZE } from '../model/window-sizes.ts'
import { apiWindowSizes, LIMIT_MAX } from './query.ts'

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const integer = { type: 'integer' } as const
const time = { type: 'string', format: 'date-time' } as const
const nullable = <T extends { type: string }>(schema: T, description: string) => ({
  ...schema,
  type: [schema.type, 'null'],
  description,
})
const size = { type: 'string', enum: [...apiWindowSizes] } as const
const list = (items: object) => ({ type: 'array', items })
const object = (properties: Record<string, object>) => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
})

const parameters = {
  site: { ...text, description: 'Only series of this site.' },
  zone: { ...text, description: 'Only series of this zone.' },
  device: { ...text, description: 'Only series of this device.' },
  metric: { ...text, description: 'Only series of this metric.' },
  from: {
    ...text,
    description:
      'ISO 8601 with Z or an offset, ms since 1970, or a time before now such as -2h. The window ' +
      'that contains this time is the first. By default a day before `to`.',
  },
  to: { ...text, description: 'Only windows that start before this time. By default now.' },
  size: { ...size, default: BASE_SIZE, description: 'The length of the windows.' },
  timezone: {
    ...text,
    description:
      'The time zone (IANA name) whose hours and days are the windows. By default the configured ' +
      'time zone of each site.',
  },
  limit: {
    ...{ ...integer, minimum: 1, maximum: LIMIT_MAX, default: 1000 },
    description: 'The largest number of entries in the response.',
  },
  cursor: { ...text, description: 'The value of `next` in the previous response.' },
} as const
type Parameter = keyof typeof parameters

const name = { site: text, zone: text, device: text, metric: text }
const unit = nullable(text, 'As the devices send it; UCUM if they use UCUM.')
const next = nullable(text, 'The cursor of the next page; null on the last page.')
const isOpen = {
  type: 'boolean',
  description: 'The window has not ended yet: the values are those up to now.',
}
const amended = {
  ...integer,
  description: 'Values that arrived after the window was published first.',
}
const p50 = nullable(number, 'Within 1 % of the value; exact for one device in 1m.')
const ofValues = nullable(number, 'Null in a window without values of its own.')
const counts = {
  ...{ count: integer, sum: number, min: ofValues, max: ofValues, mean: ofValues },
  ...{ p50, p95: p50 },
}
const judgements = {
  resets: 'The counter began again near zero.',
  glitches: 'Readings far off that came back; they count nothing.',
  dips: 'Small falls that came back; they count nothing.',
  rollovers: 'The counter passed its largest number.',
  reversals: 'The counter changed its direction, and counts signed.',
  unjudged: 'Falls to another level that stayed; the falls count nothing.',
}
const meter = {
  ...object(
    Object.fromEntries(
      Object.entries(judgements).map(([name, description]) => [name, { ...integer, description }]),
    ),
  ),
  type: ['object', 'null'],
  description: 'How doubtful readings of a meter were judged; null for other series.',
}
const countedAtReceipt = nullable(
  integer,
  "Values at the time of receipt, because the device's own time was more than a day before or more " +
    'than a minute after; null for a minute, when its quarter of an hour has some.',
)
const reason = nullable(text, 'Why; null when there are none.')
/** What an answer does not show, over all zones. */
const completeness = {
  pending: object({
    ...{ readings: integer, since: nullable(time, 'The append time of the first.') },
    until: nullable(
      time,
      'The first counts with the first event of its partition after this time, or before.',
    ),
    ...{ gateways: list(object({ gateway: text, readings: integer })), reason },
  }),
  missing: object({ events: integer, reason }),
  late: object({ backlog: integer, outOfOrder: integer, reason }),
  countedAtReceipt: object({ older: integer, ahead: integer, reason }),
}
const window = { size, start: time, end: time }

const aggregate = object({
  ...{ ...name, unit, ...window, ...counts, last: ofValues },
  lastAt: nullable(time, 'The time of the last value.'),
  timeWeightedMean: nullable(number, 'The mean over the time for which a value is known.'),
  energyKwh: nullable(
    number,
    'The rise of a meter, below zero when the counter falls; null when the unit is none of energy.',
  ),
  meter,
  occupiedHours: nullable(
    number,
    'Hours with a value above zero; null when the series says nothing about presence.',
  ),
  ...{ amended, countedAtReceipt, isOpen },
})
const zoneAggregate = object({
  ...{ site: text, zone: text, metric: text, unit, ...window },
  devices: { ...integer, description: 'How many devices have a value in the window.' },
  ...counts,
  energyKwh: nullable(number, 'The sum over the devices.'),
  occupiedHours: nullable(number, 'The sum over the devices.'),
  ...{ meter, amended, countedAtReceipt, isOpen },
})
const series = object({
  ...name,
  unit,
  kind: { type: 'string', enum: ['number', 'flag'] },
  timeZone: text,
})
const error = object({ error: { ...text, description: 'Value, place and cure in one line.' } })

const queryOf = (...names: Parameter[]) => ({
  type: 'object',
  properties: Object.fromEntries(names.map(parameter => [parameter, parameters[parameter]])),
})
const responses = (schema: object) => ({
  200: { description: 'What is committed by now.', ...schema },
  400: { description: 'The request is not valid.', ...error },
  503: {
    description: 'The state is unavailable, or too many answers are in flight: see Retry-After.',
    ...error,
  },
})

/** The parameters and responses of each endpoint, as OpenAPI describes them. */
export const endpointSchemas = {
  series: {
    summary: 'The series: a metric of a device in a zone is a series.',
    querystring: queryOf('site', 'zone', 'device', 'metric', 'limit', 'cursor'),
    response: responses(object({ series: list(series), next })),
  },
  aggregates: {
    summary: 'The windows of series: series after series, each in order of time.',
    querystring: queryOf(...(Object.keys(parameters) as Parameter[])),
    response: responses(object({ aggregates: list(aggregate), next, ...completeness })),
  },
  zone: {
    summary: 'The aggregates over the devices of a zone, by metric and unit, in order of time.',
    params: { type: 'object', properties: { zone: text }, required: ['zone'] },
    querystring: queryOf(
      'site',
      'device',
      'metric',
      'from',
      'to',
      'size',
      'timezone',
      'limit',
      'cursor',
    ),
    response: responses(object({ aggregates: list(zoneAggregate), next, ...completeness })),
  },
  totals: {
    summary: 'All aggregated values so far, by metric.',
    querystring: queryOf(),
    response: responses(
      object({
        metrics: list(object({ metric: text, count: integer, sum: number })),
        readings: { ...integer, description: 'Readings; each can have several values.' },
        held: {
          ...integer,
          description: 'Readings that are pending until their gateway reports its clock offset.',
        },
        ...completeness,
      }),
    ),
  },
}

/** The names of the query parameters of an endpoint. */
export const parameterNamesOf = (endpoint: keyof typeof endpointSchemas) =>
  Object.keys(endpointSchemas[endpoint].querystring.properties)
