import { z } from 'zod'
import { isHost, isHostAndPort, isPlainUrl } from './syntax/hosts.ts'
import { locationFault } from './syntax/routes.ts'
import { isSchedule } from './syntax/schedules.ts'
import { windowSizeTable } from './window-size-table.ts'

/** What an operator can do about a wrong value, for each schema of a value. */
export const cures = z.registry<{ cure: string }>()

const integer = (min: number, max: number, unit: string) =>
  z
    .int()
    .min(min)
    .max(max)
    .register(cures, {
      cure: `Choose a whole number${unit} between ${min} and ${max}`,
    })
const count = (min: number, max: number) => integer(min, max, '')
const ms = (min: number, max: number) => integer(min, max, ' of milliseconds')
const bytes = (min: number, max: number) => integer(min, max, ' of bytes')

const text = (holds: (value: string) => boolean, reason: string, cure: string) =>
  z.string().refine(holds, reason).register(cures, { cure })

const choice = <const T extends readonly string[]>(...values: T) =>
  z.enum(values).register(cures, {
    cure: values.length > 1 ? `Choose one of ${values.join(', ')}` : `Write ${values[0]}`,
  })

const port = z.int().min(1).max(65535).register(cures, {
  cure: 'Choose a port between 1 and 65535',
})
const host = text(
  isHost,
  'is neither an address nor a host name',
  'Write an address to listen on, such as 127.0.0.1 or 0.0.0.0, without port or brackets',
)
const flag = z.boolean().register(cures, { cure: 'Write true or false' })
const name = text(
  value => /^[\w.-]{1,64}$/.test(value),
  'is not a name of 1 to 64 safe characters',
  'Use 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_" and "-"',
)
const kafkaTopic = text(
  value => /^[\w.-]{1,249}$/.test(value) && value !== '.' && value !== '..',
  'is not a topic name that Kafka accepts',
  'Use 1 to 249 of the characters A-Z, a-z, 0-9, ".", "_" and "-"',
)
// SQLite treats '' and ':memory:' as stores that vanish at exit, and trims names.
const file = text(
  value => /^(?! |:memory:|file:)[^\p{Cc}]+(?<![ /])$/u.test(value),
  'is not the path of a file',
  'Name a file, absolute or relative to the current directory',
)
const location = z
  .string()
  .refine(value => !locationFault(value), { error: ({ input }) => locationFault(`${input}`) ?? '' })
  .register(cures, { cure: 'Write 1 to 128 printable characters' })
const plain = text(
  value => /^[^\p{Cc}]{1,256}$/u.test(value),
  'is not a text of 1 to 256 printable characters',
  'Write 1 to 256 printable characters',
)

const lane = text(
  value => /^[A-Za-z0-9-]{1,32}$/.test(value),
  'is not a name of 1 to 32 letters, digits and dashes',
  'Use 1 to 32 of the characters A-Z, a-z, 0-9 and "-"',
)

const schedule = text(
  isSchedule,
  'is not a schedule of five fields',
  'Write minute, hour, day, month and weekday as cron does, such as "* * * * *" or "*/5 1-4 * * *"',
)

const listener = (defaultPort: number) =>
  z.strictObject({ host: host.default('127.0.0.1'), port: port.default(defaultPort) }).prefault({})

const route = z
  .strictObject({
    topic: z.string().register(cures, {
      cure: 'Write a topic such as building/{site}/zone/{zone}/sensor/{device}',
    }),
    format: choice('json').default('json'),
    site: location.exactOptional(),
    zone: location.exactOptional(),
    device: location.exactOptional(),
    lane: lane.exactOptional(),
    time: z
      .strictObject({ field: plain, unit: choice('ms', 's', 'us', 'ns', 'iso') })
      .register(cures, { cure: 'Write both field: and unit:, or leave time out' })
      .exactOptional(),
  })
  .register(cures, { cure: 'Write a route as topic: …, format: json' })

const gateway = z.strictObject({
  id: name.default('gateway'),
  mqtt: z
    .strictObject({
      host: host.default('127.0.0.1'),
      port: port.default(1883),
      allowAnonymous: flag.default(false),
      connectionsMax: count(1, 1_000_000).default(10_000),
      connectTimeoutMs: ms(100, 600_000).default(10_000),
      drainTimeoutMs: ms(1, 60_000).default(5000),
      packetMaxBytes: bytes(128, 268_435_455).default(262_144),
      inFlightMaxBytes: bytes(4096, 1_073_741_824).default(16_777_216),
      pauseMaxMs: ms(1, 60_000).default(2000),
      qos2InFlightMax: count(1, 65_535).default(100),
      qos2EntriesMax: count(1, 10_000_000).default(100_000),
    })
    .prefault({}),
  http: listener(9464),
  clock: z
    .strictObject({ syncedFile: file.default('/run/systemd/timesync/synchronized') })
    .prefault({}),
})

const ingest = z.strictObject({
  payloadMaxBytes: bytes(1, 268_435_455).default(131_072),
  depthMax: count(1, 128).default(16),
  measurementsMax: count(1, 100_000).default(1024),
  zonesMax: count(1, 1_000_000).default(10_000),
  routes: z
    .array(route)
    .min(1)
    .max(1000)
    .register(cures, { cure: 'Write a list of 1 to 1000 routes, each - topic: …, format: json' })
    .default([{ topic: 'building/{site}/zone/{zone}/sensor/{device}', format: 'json' }]),
})

const whenFull = choice('refuse', 'drop-oldest', 'thin')
const lanes = z
  .record(lane, z.strictObject({ whenFull }))
  .register(cures, { cure: 'Write lanes below it, each as name: { whenFull: refuse }' })

const outbox = z.strictObject({
  file: file.default('data/outbox.db'),
  commitWindowMs: ms(0, 10_000).default(20),
  commitWindowMaxMs: ms(0, 60_000).default(1000),
  writeBudgetBytesPerDay: bytes(1_048_576, 1e15).nullable().default(null),
  commitAtEvents: count(1, 65_535).default(400),
  groupMaxEvents: count(1, 65_535).default(1000),
  groupMaxBytes: bytes(1024, 67_108_864).default(1_048_576),
  heartbeatMs: ms(100, 3_600_000).default(10_000),
  pruneSchedule: schedule.default('* * * * *'),
  keep: z
    .strictObject({
      hours: count(0, 87_600).default(72),
      bytes: bytes(0, 1e15).default(1_073_741_824),
    })
    .prefault({}),
  bounds: z
    .strictObject({
      bytes: bytes(4_194_304, 1e15).default(8_589_934_592),
      events: count(1, 1e15).nullable().default(null),
      hours: count(1, 87_600).nullable().default(null),
      deadLetterBytes: bytes(0, 1e15).default(67_108_864),
      freeDiskBytes: bytes(0, 1e15).default(268_435_456),
    })
    .prefault({}),
  whenFull: whenFull.default('refuse'),
  lanes: lanes.default({}),
})

const inbox = z.strictObject({
  file: file.default('data/inbox.db'),
  settleMs: ms(1, 60_000).default(1000),
})

const bridge = z.strictObject({
  http: listener(9465),
  batchMaxEvents: count(1, 1_000_000).default(1000),
  batchMaxBytes: bytes(1024, 268_435_456).default(4_194_304),
  lingerMs: ms(0, 60_000).default(25),
  pollMs: ms(10, 600_000).default(1000),
  backoffFirstMs: ms(1, 600_000).default(200),
  backoffMaxMs: ms(1, 3_600_000).default(5000),
  stableMs: ms(0, 3_600_000).default(30_000),
  apartAfterMs: ms(0, 3_600_000).default(5000),
  backfill: z
    .strictObject({
      afterMs: ms(0, 86_400_000).default(60_000),
      minEvents: count(0, 1e12).default(10_000),
      maxBytesPerSecond: bytes(1024, 1e12).nullable().default(null),
      batchMaxEvents: count(1, 1_000_000).default(1000),
      batchMaxBytes: bytes(1024, 268_435_456).default(1_048_576),
    })
    .prefault({}),
})

const broker = text(
  isHostAndPort,
  'is not host:port',
  'Write host:port, such as kafka-1:9092 or [::1]:9092, with a port between 1 and 65535',
)

const sasl = z
  .strictObject({
    mechanism: choice('plain', 'scram-sha-256', 'scram-sha-512'),
    username: plain,
    passwordFile: file,
  })
  .register(cures, { cure: 'Write mechanism:, username: and passwordFile:, or null for none' })

const tls = z
  .strictObject({ caFile: file, certFile: file.exactOptional(), keyFile: file.exactOptional() })
  .register(cures, { cure: 'Write caFile: and, if asked for, certFile: and keyFile:, or null' })

const kafka = z.strictObject({
  client: choice('kafkajs', 'platformatic').default('platformatic'),
  brokers: z
    .array(broker)
    .max(100)
    .register(cures, { cure: 'Write a list of at most 100 host:port' })
    .default([]),
  clientId: name.default('sluice-bridge'),
  requestTimeoutMs: ms(100, 600_000).default(10_000),
  compression: choice('zstd', 'gzip', 'none').default('zstd'),
  partitions: count(1, 100_000).nullable().default(null),
  topics: z
    .strictObject({
      readings: kafkaTopic.default('sluice.readings'),
      backfill: kafkaTopic.default('sluice.readings.backfill'),
      deadletters: kafkaTopic.default('sluice.deadletters'),
      ledger: kafkaTopic.default('sluice.ledger'),
    })
    .prefault({}),
  cloudEvents: flag.default(false),
  sasl: sasl.nullable().default(null),
  tls: tls.nullable().default(null),
})

const registry = z.strictObject({
  url: text(
    isPlainUrl,
    'is not the http(s) URL of a registry without a name or password in it',
    'Write http:// or https://, host and path, such as https://registry.example:8081',
  )
    .nullable()
    .default(null),
  register: flag.default(true),
  username: plain.nullable().default(null),
  passwordFile: file.nullable().default(null),
  caFile: file.nullable().default(null),
  requestTimeoutMs: ms(100, 600_000).default(10_000),
})

const windowSizes = Object.keys(windowSizeTable) as (keyof typeof windowSizeTable)[]

const consumers = z.strictObject({
  dir: file.default('data/consumers'),
  postgresUrlFile: file.nullable().default(null),
  sessionTimeoutMs: ms(1000, 600_000).default(10_000),
  http: listener(9468),
  analytics: z
    .strictObject({
      http: listener(9466),
      topic: kafkaTopic.default('sluice.aggregates'),
      publish: z
        .array(choice(...windowSizes))
        .register(cures, { cure: `Write a list of some of ${windowSizes.join(', ')}` })
        .default(['15m', '1h', '1d']),
      latenessMs: ms(0, 86_400_000).default(30_000),
      seriesMax: count(1, 1e9).default(100_000),
      clockWaitMs: ms(0, 604_800_000).default(86_400_000),
      holdMaxMs: ms(1, 604_800_000).default(3_600_000),
    })
    .prefault({}),
  archive: z
    .strictObject({
      http: listener(9467),
      dir: file.default('data/archive'),
      fileMaxEvents: count(1, 10_000_000).default(100_000),
      fileMaxAgeMs: ms(100, 86_400_000).default(300_000),
      keepDays: count(1, 36_500).nullable().default(null),
    })
    .prefault({}),
})

const log = z.strictObject({
  level: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
})

/** Every key with its limits and its default; sluice.yaml explains each key. */
export const configSchema = z.strictObject({
  gateway: gateway.prefault({}),
  ingest: ingest.prefault({}),
  outbox: outbox.prefault({}),
  inbox: inbox.prefault({}),
  bridge: bridge.prefault({}),
  kafka: kafka.prefault({}),
  registry: registry.prefault({}),
  consumers: consumers.prefault({}),
  log: log.prefault({}),
})

/** The configuration before its secrets are read. */
export type Settings = z.infer<typeof configSchema>
