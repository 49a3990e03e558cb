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
import { CannotStart, HANGUP_IGNORED, untilSignal } from '../config/process/lifetime.ts'
import { createLog, type Log } from '../config/process/log.ts'
import { startClock } from './clock.ts'
import { deadLetterCommands } from './http/dead-letter-commands.ts'
import { createMetrics, type MeasuredValues, type Metrics } from './http/metrics.ts'
import { qos2Commands } from './http/qos2-commands.ts'
import {
  type GatewayParts,
  gatewayState,
  unreadyReasons,
  wearAlarms,
  writerAlarms,
} from './http/status.ts'
import { startWriter, unreleasedBounds, type Writer, type WriterOptions } from './ingest/writer.ts'
import { silentText } from './ingest/writer-channel.ts'
import { type BoundReports, createBoundReports } from './mqtt/bounds/bound-reports.ts'
import { type ConnectionFaults, createConnectionFaults } from './mqtt/bounds/connection-faults.ts'
import { type Broker, type BrokerOptions, startBroker } from './mqtt/broker.ts'
import { startSchedule } from './schedule.ts'
import { damageAlarms, lastSetAsideMs } from './store/file/damaged-files.ts'

const STOP_MS = 8000
const QOS2_FORGOTTEN =
  'unreleased QoS 2 messages are forgotten; a device that sends one of them again makes a second ' +
  'event. See ./sluice qos2 list'

/** The parts through which the gateway reports: its log, its metrics and the bounds reached. */
type Reporting = { log: Log; metrics: Metrics; bounds: BoundReports; faults: ConnectionFaults }

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

/** A normal exit would wait for a writer thread that hangs in a system call. */
function killLate(): void {
  const seconds = STOP_MS / 1000
  process.stderr.write(`the gateway has not stopped for ${seconds} s: the process kills itself\n`)
  process.kill(process.pid, 'SIGKILL')
}

async function run(config: Config): Promise<void> {
  const log = createLog('gateway', config.log, process.env)
  const stopped = untilSignal(STOP_MS, () => log.warn(HANGUP_IGNORED), killLate)
  try {
    await using stack = new AsyncDisposableStack()
    const metrics = createMetrics()
    const logWarning = (fields: object, text: string) => log.warn(fields, text)
    const bounds = createBoundReports(logWarning, metrics.recordBound)
    const clock = stack.adopt(await startClock(config.gateway.clock), clock => clock.close())
    const faults = createConnectionFaults(config.gateway.mqtt.faultDelayMaxMs, logWarning)
    const reporting = { log, metrics, bounds, faults }
    let broker: Broker | null = null
    const connectedClients = () => broker?.clientIds ?? []
    const live = { clock: clock.now, connectedClients }
    const writer = stack.use(await startWriter({ ...writerOptions(config, reporting), ...live }))
    if (writer.recovery) log.error(writer.recovery, 'the outbox was damaged and is salvaged')
    stack.use(startSchedule(config.outbox.pruneSchedule, writer.prune))
    broker = stack.use(await startBroker(brokerOptions(config, reporting, writer)))
    const outboxFile = config.outbox.file
    const parts = { writer, broker, metrics, bounds, faults, clock, outboxFile }
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
  { log, metrics, bounds }: Reporting,
): Omit<WriterOptions, 'clock' | 'connectedClients'> {
  return {
    gateway: gateway.id,
    ingest,
    outbox,
    inboxFile: inbox.file,
    unreleasedBounds: unreleasedBounds(gateway.mqtt),
    // The bridge reads complete groups, so its last group may exceed the bridge's batch limit.
    readAheadMaxEvents: bridge.batchMaxEvents + outbox.groupMaxEvents,
    onCommitted: (counts, commitMs, timeReports) => {
      metrics.recordCommit(counts, commitMs)
      for (const report of timeReports) log.warn(report, 'the time of this device is strange')
    },
    onRefused: (count, reason) =>
      log.error({ count, reason }, 'messages refused: not stored and not acknowledged'),
    onSpaceAvailable: () => log.info('the outbox has room: messages are accepted again'),
    onWriteBudgetChange: beyondBudget =>
      beyondBudget
        ? log.warn(beyondBudget)
        : log.info('outbox.writeBudgetBytesPerDay is no longer exceeded'),
    onSilent: silentMs => log.error({ silentMs }, silentText(silentMs)),
    onAnswered: silentMs => log.warn({ silentMs }, 'the writer thread answers again'),
    onQos2Forgotten: (bound, count) => {
      const key = bound === 'perClientMax' ? 'qos2InFlightMax' : 'qos2EntriesMax'
      const value = gateway.mqtt[key]
      bounds.report({ key: `gateway.mqtt.${key}`, value, consequence: QOS2_FORGOTTEN, count })
    },
    onFailed: reason =>
      exitOnError(
        log,
        new CannotStart(`the outbox must be opened again: ${reason}`, { isTemporary: true }),
      ),
  }
}

function brokerOptions(
  { gateway }: Config,
  { log, metrics, bounds, faults }: Reporting,
  writer: Writer,
): BrokerOptions {
  return {
    accept: writer.accept,
    limits: gateway.mqtt,
    boundReports: bounds,
    faults,
    onError: error => log.error({ reason: error.message }, 'the MQTT broker reports an error'),
    onRefused: metrics.recordRefused,
    onAcknowledged: metrics.recordAcknowledged,
    onConnectionBroken: (client, reason) => {
      metrics.recordBrokenConnection()
      log.debug({ client, reason }, 'a fault ended the connection of a device')
    },
  }
}

function httpOptions({ gateway }: Config, parts: GatewayParts): HttpOptions {
  const { writer, broker, metrics, bounds, faults, clock } = parts
  return {
    ...gateway.http,
    key: 'gateway.http',
    notReadyReasons: () => unreadyReasons(parts),
    alarms: () => [
      ...damageAlarms('outbox', writer.status.setAsideFiles),
      ...wearAlarms(writer),
      ...writerAlarms(writer),
      ...bounds.alarms(),
      ...clock.alarms(),
      ...faults.alarms(),
    ],
    details: () => ({ clock: clock.status() }),
    metrics: metrics.text,
    identity: () => ({ gateway: writer.gateway, store: writer.store }),
    state: () => gatewayState(parts),
    commands: { ...deadLetterCommands(writer), ...qos2Commands(writer, () => broker.clientIds) },
  }
}

function measuredValues({ writer, broker, faults }: GatewayParts): MeasuredValues {
  return {
    ...writer.status,
    wear: writer.wear(),
    setAsideAtMs: lastSetAsideMs(writer.status.setAsideFiles),
    connections: broker.connections,
    memory: broker.memory(),
    inFlightBytes: broker.pressureBytes,
    clientsInLoop: faults.loops(),
  }
}

function logStarted({ gateway, outbox }: Config, log: Log, writer: Writer): void {
  const { host, port, allowAnonymous } = gateway.mqtt
  const { gateway: id, store, epoch } = writer
  log.info(
    { gateway: id, host, port, outbox: outbox.file, store, epoch },
    'accepting MQTT messages',
  )
  if (allowAnonymous) {
    log.warn(
      { host },
      'gateway.mqtt.allowAnonymous is true: anybody who reaches this address may publish',
    )
  }
}
