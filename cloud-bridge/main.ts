import { setPriority } from 'node:os'
import type { Config } from '../config/config.ts'
import {
  createProgram,
  exitOnError,
  requireConfig,
  runCommand,
  withConfig,
} from '../config/process/command-line.ts'
import type { CommandHandler } from '../config/process/commands.ts'
import { keepHeapSmall } from '../config/process/heap.ts'
import { serveHttp } from '../config/process/http-server.ts'
import { HANGUP_IGNORED, untilSignal } from '../config/process/lifetime.ts'
import { createLog, type Log } from '../config/process/log.ts'
import { damageAlarms, setAsideFilesOf } from '../gateway/store/file/damaged-files.ts'
import { type Inbox, openInbox } from '../gateway/store/inbox.ts'
import { type EventSource, openEventSource } from '../gateway/store/source/event-source.ts'
import { runBridge, watchOutbox } from './forward/bridge.ts'
import { bridgeIdentity, bridgeState, notReadyReasons } from './forward/bridge-status.ts'
import { createBridgeMetrics } from './forward/metrics.ts'
import { createConfiguredFraming } from './framing/configured-framing.ts'
import { createKafkaClient } from './kafka/configured-client.ts'
import { createBatchBoundary } from './partitions/batch-boundary.ts'
import {
  createMovePartitionsCommand,
  createShowPartitionsCommand,
  type PartitionsCommandOptions,
} from './partitions/partitions-command.ts'
import { partitionMismatch } from './partitions/zone-spread.ts'
import type { EventStream } from './ports/event-stream.ts'
import { createReplayCommand } from './replay/replay-command.ts'
import {
  createFlows,
  type Flows,
  runningText,
  waitingText,
  waitReason,
} from './retry/flow-status.ts'
import { createKafkaWatch, type KafkaWatch } from './watch/kafka-watch.ts'
import { createLedgerWatch, type LedgerWatch } from './watch/ledger-watch.ts'
import { createRejections } from './watch/rejections.ts'
import { finerZonesCure } from './zones/finer-zones.ts'
import { createHotZones } from './zones/hot-zones.ts'

const STOP_MS = 8000
const CHECK_FILES_EVERY_MS = 1000
const CHECK_NOT_ALLOWED =
  'the bridge cannot check whether Kafka would delete events at once: the right ' +
  'DescribeConfigs on the topics is missing; grant it (docs/security.md)'
const NO_BACKLOG = { events: 0, bytes: 0, oldestAgeMs: 0 }

const program = createProgram(
  'sluice bridge',
  'Sends the events of the outbox to Kafka, partitioned by zone.',
)
withConfig(program, process.env).action(async ({ config: file }) => {
  const config = requireConfig(file, process.env)
  process.umask(0o077)
  keepHeapSmall()
  // The gateway goes first on the CPU: devices wait for the gateway, and nobody waits for the
  // bridge.
  setPriority(6)
  await run(config)
})
// The process exits although a check of Kafka, or a read of the ledger topic, may still wait.
await runCommand(program, { exits: true })

async function run(config: Config): Promise<void> {
  const { bridge, kafka, inbox: inboxOptions, outbox } = config
  const log = createLog('bridge', config.log, process.env)
  const ending = new AbortController()
  const stopped = untilSignal(STOP_MS, () => log.warn(HANGUP_IGNORED))
  const flows = createFlows(
    { firstMs: bridge.backoffFirstMs, maxMs: bridge.backoffMaxMs, stableMs: bridge.stableMs },
    (name, flow) =>
      flow.status === 'waiting'
        ? log.warn({ reason: flow.reason }, waitingText(name))
        : log.info(runningText(name)),
  )
  try {
    await using stack = new AsyncDisposableStack()
    const inbox = stack.adopt(openInbox(inboxOptions), opened => opened.close())
    if (inbox.recovery) log.error(inbox.recovery, 'the inbox was damaged and was rebuilt')
    stack.adopt(startFileCheck(inbox, log), clearInterval)
    const source = stack.adopt(openEventSource({ outboxFile: outbox.file, inbox }), opened =>
      opened.close(),
    )
    const client = await createKafkaClient(kafka)
    const { partitionsOf, settingsOf } = client.topics
    const hotZones = createLoggedHotZones(config, log)
    const metrics = createBridgeMetrics({
      backlog: () => source.backlog() ?? NO_BACKLOG,
      hotZones: hotZones.list,
      flows: () => flows.states,
    })
    const kafkaWatch = createLoggedKafkaWatch(config, client.stream, log)
    const ledgerWatch = createLoggedLedgerWatch(kafka, client.stream, source, log)
    const rejections = createRejections({ onWarning: text => log.warn(text) })
    const batchBoundary = createBatchBoundary(source.wake)
    const commandParts = { config, log, source, flows, batchBoundary, partitionsOf, kafkaWatch }
    const parts = () => ({ source, metrics, hotZones, flows: flows.states })
    stack.use(
      await serveHttp({
        ...bridge.http,
        key: 'bridge.http',
        notReadyReasons: () => notReadyReasons(parts()),
        alarms: () => [
          ...damageAlarms('inbox', setAsideFilesOf(inboxOptions.file)),
          ...kafkaWatch.alarms(),
          ...ledgerWatch.alarms(),
          ...rejections.alarms(),
          ...hotZones.alarms(),
          ...partitionMismatch(kafka.partitions, source.ranges),
        ],
        identity: () => bridgeIdentity(source),
        metrics: metrics.text,
        state: () => bridgeState(parts()),
        commands: createCommands(commandParts),
      }),
    )
    log.info(
      { outbox: outbox.file, inbox: inboxOptions.file, brokers: kafka.brokers },
      'forwarding events from the outbox to Kafka',
    )
    stopped.then(signal => {
      log.info({ signal }, 'stopping')
      ending.abort()
      source.wake()
    })
    if (kafka.brokers.length === 0) {
      const reason =
        'kafka.brokers is not configured: all events stay in the outbox until it is set'
      flows.add('events').setWaiting(reason)
      await watchOutbox({ config, source, signal: ending.signal })
      return
    }
    const running = runBridge({
      ...{ config, source, inbox, metrics, hotZones, partitionsOf, flows, signal: ending.signal },
      framing: createConfiguredFraming(config, inbox, ending.signal, line => log.warn(line)),
      ...{ batchBoundary, onPartitionMismatch: reason => log.warn(reason) },
      ...{ openSink: client.openSink, kafkaWatch, rejections, settingsOf },
      onCheckNotAllowed: topic => log.warn({ topic }, CHECK_NOT_ALLOWED),
    })
    await Promise.all([running, ledgerWatch.run(ending.signal)])
  } catch (error) {
    exitOnError(log, error)
  }
}

/** Ends the process when a file of the inbox is no longer at its path. */
function startFileCheck({ checkFiles }: Pick<Inbox, 'checkFiles'>, log: Log) {
  return setInterval(() => {
    try {
      checkFiles()
    } catch (error) {
      exitOnError(log, error)
    }
  }, CHECK_FILES_EVERY_MS)
}

function createLoggedKafkaWatch(config: Config, { topicOffsets }: EventStream, log: Log) {
  return createKafkaWatch({
    ...{ config, topicOffsets },
    onChange: reason =>
      reason === null ? log.info('Kafka answers again') : log.warn({ reason }, 'Kafka is away'),
  })
}

/** Watches the ledger topic for another gateway with a copy of this store or with this id. */
function createLoggedLedgerWatch(
  { topics: { ledger: topic }, brokers }: Config['kafka'],
  stream: EventStream,
  source: EventSource,
  log: Log,
): LedgerWatch {
  return createLedgerWatch({
    ...{ stream, topic, brokers },
    ownRun() {
      const [store, epoch] = [source.store, source.readEpoch()]
      if (!store || epoch === null) return null
      return { store: store.id.toString('hex'), gateway: store.gateway, epoch }
    },
    onUnreadable: reason =>
      reason === null
        ? log.info({ topic }, 'the ledger topic is read for signs of another gateway')
        : log.info({ topic, reason }, 'the ledger topic cannot be read'),
    onWarning: text => log.warn(text),
  })
}

function createLoggedHotZones({ ingest }: Config, log: Log) {
  return createHotZones({
    cureOf: load => finerZonesCure(load, ingest.routes),
    onHot: (zone, alarm) => log.warn({ zone }, alarm),
    onCool: zone => log.info({ zone }, 'the zone is no longer hot'),
  })
}

type CommandParts = Omit<PartitionsCommandOptions, 'kafka' | 'waitReason'> & {
  config: Config
  log: Log
  source: EventSource
  flows: Flows
  kafkaWatch: KafkaWatch
}

/**
 * The operator's HTTP commands, by path. The answers of commands that change something are logged.
 */
function createCommands({
  config,
  log,
  source,
  flows,
  kafkaWatch,
  ...rest
}: CommandParts): Record<string, CommandHandler> {
  const { kafka, outbox } = config
  const topic = kafka.topics.backfill
  const options = {
    ...{ kafka, source, ...rest },
    waitReason: () => waitReason(flows.states.events),
  }
  const logged =
    (name: string, command: CommandHandler): CommandHandler =>
    async input => {
      const answer = await command(input)
      log.info({ request: input, ...answer }, name)
      return answer
    }
  const replay = createReplayCommand({ outboxFile: outbox.file, topic, ...options })
  return {
    '/replay': logged('replay', async input => {
      const answer = await replay(input)
      kafkaWatch.replayOrdered()
      return answer
    }),
    '/partitions': createShowPartitionsCommand(options),
    '/partitions/move': logged('partitions move', createMovePartitionsCommand(options)),
  }
}
