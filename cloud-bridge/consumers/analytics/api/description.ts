import { apiWindowSizes, LIMIT_MAX } from './query.ts'

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const whole = { type: 'integer' } as const
const time = { type: 'string', format: 'date-time' } as const
const orNull = <T extends { type: string }>(one: T, description: string) => ({
  ...one,
  type: [one.type, 'null'],
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
  site: { ...text, description: 'Only of this site.' },
  zone: { ...text, description: 'Only of this zone.' },
  device: { ...text, description: 'Only of this device.' },
  metric: { ...text, description: 'Only of this metric.' },
  from: {
    ...text,
    description:
      'ISO 8601 with Z or an offset, ms since 1970, or a time before now such as -2h. The window ' +
      'in which it lies is the first. A day before `to` when not given.',
  },
  to: { ...text, description: 'Windows that begin before then; written as from. Now by default.' },
  size: { ...size, default: '15m', description: 'How long the windows are.' },
  limit: { ...whole, minimum: 1, maximum: LIMIT_MAX, default: 1000, description: 'How many.' },
  cursor: { ...text, description: 'What the answer before gave as next.' },
} as const
type Parameter = keyof typeof parameters

const name = { site: text, zone: text, device: text, metric: text }
const unit = orNull(text, 'As the devices say it; UCUM if they do.')
const next = orNull(text, 'The cursor of what follows; null: this is all.')
const isOpen = {
  type: 'boolean',
  description: 'Its time is not over yet: it tells what is in it by now.',
}
const amended = { ...whole, description: 'Values that came after it had been told.' }
const p50 = orNull(number, 'Within 1 % of the value; exact for one device in 1m.')
const counts = { count: whole, sum: number, min: number, max: number, mean: number, p50, p95: p50 }
const window = { size, start: time, end: time }

const aggregate = object({
  ...{ ...name, unit, ...window, ...counts, last: number, lastAt: time },
  timeWeightedMean: orNull(number, 'Over the time for which a value is known.'),
  energyKwh: orNull(number, 'What a meter rose by; null where it is none of energy.'),
  occupiedHours: orNull(number, 'Hours with a value above zero; null where it tells of nobody.'),
  ...{ amended, isOpen },
})
const zoneAggregate = object({
  ...{ site: text, zone: text, metric: text, unit, ...window },
  devices: { ...whole, description: 'How many have a value in it.' },
  ...counts,
  energyKwh: orNull(number, 'The sum over the devices.'),
  occupiedHours: orNull(number, 'The sum over the devices.'),
  ...{ amended, isOpen },
})
const series = object({ ...name, unit, kind: { type: 'string', enum: ['number', 'flag'] } })
const error = object({ error: { ...text, description: 'Value, place and cure in one line.' } })

const asking = (...names: Parameter[]) => ({
  type: 'object',
  properties: Object.fromEntries(names.map(one => [one, parameters[one]])),
})
const answers = (schema: object) => ({
  200: { description: 'What is committed by now.', ...schema },
  400: { description: 'It cannot be answered.', ...error },
  503: { description: 'The state cannot be read now: ask again.', ...error },
})

/** What each address takes and gives, as OpenAPI tells it. */
export const endpointSchemas = {
  series: {
    summary: 'What is measured: a metric of a device in a zone is a series.',
    querystring: asking('site', 'zone', 'device', 'metric', 'limit', 'cursor'),
    response: answers(object({ series: list(series), next })),
  },
  aggregates: {
    summary: 'The windows of series, one series after the other, each in order of time.',
    querystring: asking(...(Object.keys(parameters) as Parameter[])),
    response: answers(object({ aggregates: list(aggregate), next })),
  },
  zone: {
    summary: 'The devices of a zone together, by metric and unit, in order of time.',
    params: { type: 'object', properties: { zone: text }, required: ['zone'] },
    querystring: asking('site', 'device', 'metric', 'from', 'to', 'size', 'limit', 'cursor'),
    response: answers(object({ aggregates: list(zoneAggregate), next })),
  },
  totals: {
    summary: 'All values that count so far, by metric.',
    querystring: asking(),
    response: answers(
      object({
        metrics: list(object({ metric: text, count: whole, sum: number })),
        held: {
          ...whole,
          description: 'Readings that wait until their gateway says how far its clock was off.',
        },
      }),
    ),
  },
}

/** Which names a question to an address may have. */
export const parameterNamesOf = (one: keyof typeof endpointSchemas) =>
  Object.keys(endpointSchemas[one].querystring.properties)
