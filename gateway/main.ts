import type { Config } from '../config/config.ts'
import {
  createProgram,
  exitOnError,
  requireConfig,
  runCommand,
  withConfig,
} from '../config/process/command-line.ts'
import { keepHeapSmall } from '../config/process/heap.ts'
import { type HttpOptions, serveHttp } from '../config/process/http-server.ts'
import { CannotStart, untilSignal } from '../config/process/lifetime.ts'
import { createLog, type Log } from '../config/process/log.ts'
import { startClock } from './clock.ts'
import { deadLetterCommands } from './http/dead-letter-commands.ts'
import { createMetrics, type MeasuredValues, type Metrics } from './http/metrics.ts'
import { type GatewayParts, gatewayState, unreadyReasons, wearAlarms } from './http/status.ts'
import { startWriter, type Writer, type WriterOptions } from './ingest/writer.ts'
import { type BrokerOptions, startBroker } from './mqtt/broker.ts'
import { startSchedule } from './schedule.ts'
import { damageAlarms, lastSetAsideMs } from './store/file/damaged-files.ts'

const STOP_MS = 8000

const program = createProgram(
  'sluice gateway',
  'Accepts readings over MQTT and keeps every one it acknowledges on disk.',
)
withConfig(program, process.env).action(async ({ config: file }) => {
  const config = requireConfig(file, process.env)
  process.umask(0o077)
  keepHeapSmall()
  await run(config)
})
await runCommand(program)

async function run(config: Config): Promise<void> {
  const log = createLog('gateway', config.log.level)
  const stopped = untilSignal(STOP_MS)
  try {
    await using stack = new AsyncDisposableStack()
    const metrics = createMetrics()
    const clock = stack.adopt(await startClock(config.gateway.clock.syncedFile), clock =>
      clock.close(),
    )
    const writer = stack.use(
      await startWriter({ ...writerOptions(config, log, metrics), clock: clock.now }),
    )
    if (writer.recovery) log.error(writer.recovery, 'the outbox was damaged and is salvaged')
    stack.use(startSchedule(config.outbox.pruneSchedule, writer.prune))
    const broker = stack.use(await startBroker(brokerOptions(config, log, metrics, writer)))
    const parts = { writer, broker, metrics }
    metrics.addMeasured(() => measuredValues(parts))
    stack.use(await serveHttp(httpOptions(config, parts)))
    logStarted(config, log, writer)
    log.info({ signal: await stopped }, 'stopping')
  } catch (error) {
    exitOnError(log, error)
  }
}

function writerOptions(
  { gateway, ingest, outbox, inbox, bridge }: Config,
  log: Log,
  metrics: Metrics,
): Omit<WriterOptions, 'clock'> {
  return {
    gateway: gateway.id,
    ingest,
    outbox,
    inboxFile: inbox.file,
    // The bridge reads complete groups, so its last group may exceed the bridge's batch limit.
    readAheadMaxEvents: bridge.batchMaxEvents + outbox.groupMaxEvents,
    onCommitted: metrics.recordCommit,
    onRefused: (count, reason) =>
      log.error({ count, reason }, 'messages refused: not stored and not acknowledged'),
    onSpaceAvailable: () => log.info('the outbox has room: messages are accepted again'),
    onWriteBudgetChange: beyondBudget =>
      beyondBudget
        ? log.warn(beyondBudget)
        : log.info('outbox.writeBudgetBytesPerDay is no longer exceeded'),
    onFailed: reason =>
      exitOnError(
        log,
        new CannotStart(`the outbox must be opened again: ${reason}`, { isTemporary: true }),
      ),
  }
}

function brokerOptions(
  { gateway }: Config,
  log: Log,
  metrics: Metrics,
  writer: Writer,
): BrokerOptions {
  return {
    accept: writer.accept,
    limits: gateway.mqtt,
    countUnreleased: () => writer.status.qos2Unreleased,
    onRefused: metrics.recordRefused,
    onAcknowledged: metrics.recordAcknowledged,
    onConnectionBroken: (client, reason) => {
      metrics.recordBrokenConnection()
      log.debug({ client, reason }, 'a fault ended the connection of a device')
    },
  }
}

function httpOptions({ gateway }: Config, parts: GatewayParts): HttpOptions {
  const { writer, metrics } = parts
  return {
    ...gateway.http,
    key: 'gateway.http',
    notReadyReasons: () => unreadyReasons(parts),
    alarms: () => [...damageAlarms('outbox', writer.status.setAsideFiles), ...wearAlarms(writer)],
    metrics: metrics.text,
    state: () => gatewayState(parts),
    commands: deadLetterCommands(writer),
  }
}

function measuredValues({ writer, broker }: GatewayParts): MeasuredValues {
  return {
    ...writer.status,
    wear: writer.wear(),
    setAsideAtMs: lastSetAsideMs(writer.status.setAsideFiles),
    connections: broker.connections,
  }
}

function logStarted({ gateway, outbox }: Config, log: Log, { epoch }: Writer): void {
  const { host, port, allowAnonymous } = gateway.mqtt
  log.info({ host, port, outbox: outbox.file, epoch }, 'accepting MQTT messages')
  if (allowAnonymous) {
    log.warn(
      { host },
      'gateway.mqtt.allowAnonymous is true: anybody who reaches this address may publish',
    )
  }
}
