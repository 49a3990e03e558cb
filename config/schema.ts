import { z } from 'zod'
import { timeSourceNames } from './process/time-sources.ts'
import {
  brokerAddress,
  bytes,
  calendarTimeZone,
  choice,
  count,
  cures,
  filePath,
  flag,
  host,
  hostNames,
  kafkaTopic,
  laneName,
  location,
  ms,
  port,
  printableText,
  registryUrl,
  safeName,
  schedule,
  timeZone,
  topicPattern,
} from './value-kinds.ts'
import { windowSizeTable } from './window-size-table.ts'

const listener = (defaultPort: number) =>
  z
    .strictObject({
      host: host.default('127.0.0.1'),
      port: port.default(defaultPort),
      hostNames: hostNames.default([]),
    })
    .prefault({})

const route = z
  .strictObject({
    topic: topicPattern,
    format: choice('json').default('json'),
    site: location.exactOptional(),
    zone: location.exactOptional(),
    device: location.exactOptional(),
    lane: laneName.exactOptional(),
    time: z
      .strictObject({
        field: printableText,
        unit: choice('ms', 's', 'us', 'ns', 'iso'),
        zone: timeZone.exactOptional(),
      })
      .register(cures, { cure: 'Write both field: and unit:, or leave time out' })
      .exactOptional(),
  })
  .register(cures, { cure: 'Write a route as topic: …, format: json' })

const gateway = z.strictObject({
  id: safeName.nullable().default(null),
  mqtt: z
    .strictObject({
      host: host.default('127.0.0.1'),
      port: port.default(1883),
      allowAnonymous: flag.default(false),
      connectionsMax: count(1, 1_000_000).default(4000),
      connectTimeoutMs: ms(100, 600_000).default(10_000),
      drainTimeoutMs: ms(1, 60_000).default(2000),
      packetTimeoutMs: ms(100, 3_600_000).default(60_000),
      idleMaxMs: ms(100, 31_536_000_000).default(90_000_000),
      tcpKeepaliveMs: ms(1000, 86_400_000).default(60_000),
      faultDelayMaxMs: ms(0, 600_000).default(20_000),
      packetMaxBytes: bytes(128, 268_435_455).default(262_144),
      inFlightMaxBytes: bytes(4096, 1_073_741_824).default(16_777_216),
      pauseMaxMs: ms(1, 60_000).default(2000),
      qos2InFlightMax: count(1, 65_535).default(100),
      qos2EntriesMax: count(1, 10_000_000).default(100_000),
      sessionsMax: count(1, 1_000_000).default(500),
      queuedMessagesMax: count(1, 1_000_000).default(1000),
      queuedMaxBytes: bytes(4096, 1_073_741_824).default(16_777_216),
      subscriptionsPerClientMax: count(1, 100_000).default(1000),
      filtersPerPacketMax: count(1, 65_535).default(500),
      subscriptionsMax: count(1, 1_000_000).default(10_000),
      retainedMax: count(1, 1_000_000).default(10_000),
      retainedMaxBytes: bytes(4096, 1_073_741_824).default(8_388_608),
      willMaxBytes: bytes(0, 16_384).default(16_384),
      qos2KeepMs: ms(1000, 31_536_000_000).default(604_800_000),
    })
    .prefault({}),
  http: listener(9464),
  clock: z
    .strictObject({
      sources: z
        .array(choice(...timeSourceNames))
        .min(1)
        .register(cures, { cure: `Write a list of some of ${timeSourceNames.join(', ')}` })
        .default([...timeSourceNames]),
      syncedFile: filePath.default('/run/systemd/timesync/synchronized'),
    })
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
  .record(laneName, z.strictObject({ whenFull }))
  .register(cures, { cure: 'Write lanes below it, each as name: { whenFull: refuse }' })

const outbox = z.strictObject({
  file: filePath.default('data/outbox.db'),
  commitWindowMs: ms(0, 10_000).default(20),
  commitWindowMaxMs: ms(0, 60_000).default(1000),
  writeBudgetBytesPerDay: bytes(1_048_576, 1e15).nullable().default(null),
  commitAtEvents: count(1, 65_535).default(400),
  groupMaxEvents: count(1, 65_535).default(1000),
  groupMaxBytes: bytes(1024, 67_108_864).default(1_048_576),
  heartbeatMs: ms(100, 3_600_000).default(10_000),
  writer: z
    .strictObject({
      alarmAfterMs: ms(100, 3_600_000).default(10_000),
      endAfterMs: ms(1000, 86_400_000).default(120_000),
    })
    .prefault({}),
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
  file: filePath.default('data/inbox.db'),
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

const sasl = z
  .strictObject({
    mechanism: choice('plain', 'scram-sha-256', 'scram-sha-512'),
    username: printableText,
    passwordFile: filePath,
  })
  .register(cures, { cure: 'Write mechanism:, username: and passwordFile:, or null for none' })

const tls = z
  .strictObject({
    caFile: filePath,
    certFile: filePath.exactOptional(),
    keyFile: filePath.exactOptional(),
  })
  .register(cures, {
    cure: 'Write caFile: and, for a client certificate, certFile: and keyFile:, or null',
  })

const kafka = z.strictObject({
  client: choice('kafkajs', 'platformatic').default('platformatic'),
  brokers: z
    .array(brokerAddress)
    .max(100)
    .register(cures, { cure: 'Write a list of at most 100 host:port' })
    .default([]),
  clientId: safeName.default('sluice-bridge'),
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
  url: registryUrl.nullable().default(null),
  register: flag.default(true),
  username: printableText.nullable().default(null),
  passwordFile: filePath.nullable().default(null),
  caFile: filePath.nullable().default(null),
  requestTimeoutMs: ms(100, 600_000).default(10_000),
})

const windowSizes = Object.keys(windowSizeTable) as (keyof typeof windowSizeTable)[]

const consumers = z.strictObject({
  dir: filePath.default('data/consumers'),
  postgresUrlFile: filePath.nullable().default(null),
  sessionTimeoutMs: ms(1000, 600_000).default(10_000),
  http: listener(9468),
  importTopic: kafkaTopic.default('sluice.imported'),
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
      timeZone: calendarTimeZone.default('UTC'),
      siteTimeZones: z
        .array(z.strictObject({ site: location, timeZone: calendarTimeZone }))
        .register(cures, { cure: 'Write a list of site: …, timeZone: …' })
        .default([]),
    })
    .prefault({}),
  archive: z
    .strictObject({
      http: listener(9467),
      dir: filePath.default('data/archive'),
      fileMaxEvents: count(1, 10_000_000).default(100_000),
      fileMaxAgeMs: ms(100, 86_400_000).default(300_000),
      keepDays: count(1, 36_500).nullable().default(null),
      compactAfterDays: count(1, 36_500).nullable().default(1),
    })
    .prefault({}),
})

const log = z.strictObject({
  level: choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
  format: choice('auto', 'text', 'json').default('auto'),
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
