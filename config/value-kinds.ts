import { z } from 'zod'
import { isHost, isHostAndPort, isPlainUrl } from './syntax/hosts.ts'
import { locationFault } from './syntax/routes.ts'
import { isSchedule } from './syntax/schedules.ts'
import { isTimeZone, timeZoneFault } from './syntax/time-zones.ts'

/**
 * What an operator can do about a wrong value, for each schema of a value. The schemas of this file
 * are the kinds of values that schema.ts gives to keys, each with its cure.
 */
export const cures = z.registry<{ cure: string }>()

const integer = (min: number, max: number, unit: string) =>
  z
    .int()
    .min(min)
    .max(max)
    .register(cures, {
      cure: `Choose a whole number${unit} between ${min} and ${max}`,
    })
/** A number of things, between two limits that are both allowed. */
export const count = (min: number, max: number) => integer(min, max, '')
/** A number of milliseconds, between two limits that are both allowed. */
export const ms = (min: number, max: number) => integer(min, max, ' of milliseconds')
/** A number of bytes, between two limits that are both allowed. */
export const bytes = (min: number, max: number) => integer(min, max, ' of bytes')

const text = (isValid: (value: string) => boolean, reason: string, cure: string) =>
  z.string().refine(isValid, reason).register(cures, { cure })

/** One of several words. */
export const choice = <const T extends readonly string[]>(...values: T) =>
  z.enum(values).register(cures, {
    cure: values.length > 1 ? `Choose one of ${values.join(', ')}` : `Write ${values[0]}`,
  })

export const flag = z.boolean().register(cures, { cure: 'Write true or false' })

export const port = z.int().min(1).max(65535).register(cures, {
  cure: 'Choose a port between 1 and 65535',
})

/** An address to listen on. */
export const host = text(
  isHost,
  'is neither an address nor a host name',
  'Write an address to listen on, such as 127.0.0.1 or 0.0.0.0, without port or brackets',
)

/** Names under which a browser or a scraper reaches an HTTP page. */
export const hostNames = z
  .array(
    text(isHost, 'is not a host name', 'Write a host name such as edge-7.example, without port'),
  )
  .max(100)
  .register(cures, { cure: 'Write a list of at most 100 host names' })

/** An id that is safe in file names, topics and logs. */
export const safeName = text(
  value => /^[\w.-]{1,64}$/.test(value),
  'is not a name of 1 to 64 safe characters',
  'Use 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_" and "-"',
)

/** Whether Kafka accepts the name of a topic. */
export const isTopicName = (value: string) =>
  /^[\w.-]{1,249}$/.test(value) && value !== '.' && value !== '..'
export const TOPIC_NAME_CURE = 'Use 1 to 249 of the characters A-Z, a-z, 0-9, ".", "_" and "-"'
export const kafkaTopic = text(
  isTopicName,
  'is not a topic name that Kafka accepts',
  TOPIC_NAME_CURE,
)

/**
 * The path of a file. SQLite trims names, and treats '' and ':memory:' as databases that vanish at
 * exit.
 */
export const filePath = text(
  value => /^(?! |:memory:|file:)[^\p{Cc}]+(?<![ /])$/u.test(value),
  'is not the path of a file',
  'Name a file, absolute or relative to the current directory',
)

/** The name of a site, zone or device, or a template of one. */
export const location = z
  .string()
  .refine(value => !locationFault(value), { error: ({ input }) => locationFault(`${input}`) ?? '' })
  .register(cures, { cure: 'Write 1 to 128 printable characters' })

export const printableText = text(
  value => /^[^\p{Cc}]{1,256}$/u.test(value),
  'is not a text of 1 to 256 printable characters',
  'Write 1 to 256 printable characters',
)

export const laneName = text(
  value => /^[A-Za-z0-9-]{1,32}$/.test(value),
  'is not a name of 1 to 32 letters, digits and dashes',
  'Use 1 to 32 of the characters A-Z, a-z, 0-9 and "-"',
)

/** A schedule: five fields in the syntax of cron. */
export const schedule = text(
  isSchedule,
  'is not a schedule of five fields',
  'Write minute, hour, day, month and weekday as cron does, such as "* * * * *" or "*/5 1-4 * * *"',
)

/** A time zone of the IANA database. */
export const timeZone = text(
  isTimeZone,
  'is not a time zone of the IANA database',
  'Write a time zone such as Europe/Berlin, America/New_York or UTC',
)

/** A time zone in which quarters of an hour are not divided. */
export const calendarTimeZone = text(
  value => timeZoneFault(value) === null,
  'is no time zone whose offset from UTC is a multiple of 15 minutes',
  'Write a name such as Europe/Berlin, or UTC',
)

export const brokerAddress = text(
  isHostAndPort,
  'is not host:port',
  'Write host:port, such as kafka-1:9092 or [::1]:9092, with a port between 1 and 65535',
)

export const registryUrl = text(
  isPlainUrl,
  'is not the http(s) URL of a registry without a name or password in it',
  'Write http:// or https://, host and path, such as https://registry.example:8081',
)

/** The pattern of a route's topics; relations.ts checks its levels. */
export const topicPattern = z.string().register(cures, {
  cure: 'Write a topic such as building/{site}/zone/{zone}/sensor/{device}',
})
