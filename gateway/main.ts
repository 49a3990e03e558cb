import { Command } from 'commander'
import { type Config, describeFaults, loadConfig } from '../config/config.ts'
import { keepHeapSmall } from '../config/process/heap.ts'
import { serveHttp } from '../config/process/http-server.ts'
import { CannotStart, untilSignal } from '../config/process/lifetime.ts'
import { createLog } from '../config/process/log.ts'
import { startClock } from './clock.ts'
import { deadLetterCommands } from './http/dead-letter-commands.ts'
import { createMetrics } from './http/metrics.ts'
import { gatewayState, unreadyReasons, wearAlarms } from './http/status.ts'
import { startWriter } from './ingest/writer.ts'
import { startBroker } from './mqtt/broker.ts'
import { startSchedule } from './schedule.ts'
import { damageAlarms, lastSetAsideMs } from './store/file/damaged-files.ts'

const STOP_MS = 8000

const { config: file } = new Command('sluice gateway')
  .description('Accepts readings over MQTT and keeps every one it acknowledges on disk.')
  .option('--config <file>', 'configuration file (YAML)', process.env.SLUICE_CONFIG)
  .parse()
  .opts<{ config?: string }>()
const loaded = loadConfig({ file, env: process.env })
if ('faults' in loaded) {
  process.stderr.write(`${describeFaults(loaded.faults)}\n`)
  process.exit(2)
}
process.umask(0o077)
keepHeapSmall()
await run(loaded.config)

async function run({
  gateway,
  ingest,
  outbox,
  inbox,
  bridge,
  log: { level },
}: Config): Promise<void> {
  const log = createLog('gateway', level)
  const stopped = untilSignal(STOP_MS)
  const end = (message: string, code: number) => {
    log.fatal(message)
    process.exit(code)
  }
  try {
    await using stack = new AsyncDisposableStack()
    const clock = await startClock(gateway.clock.syncedFile)
    const metrics = createMetrics(() => ({
      ...writer.position,
      wear: writer.wear(),
      salvagedMs: lastSetAsideMs(writer.position.asides),
      connections: broker.connections,
    }))
    const writer = stack.use(
      await startWriter({
        gateway: gateway.id,
        ingest,
        outbox,
        inboxFile: inbox.file,
        // The bridge takes whole groups, the last of which may go beyond its limit.
        readAheadMaxEvents: bridge.batchMaxEvents + outbox.groupMaxEvents,
        clock: clock.now,
        onCommitted: metrics.committed,
        onRefused: (count, reason) => log.error({ count, reason }, 'refused'),
        onSpaceAvailable: () => log.info('there is room again'),
        onWriteBudgetChange: beyond =>
          beyond ? log.warn(beyond) : log.info('outbox.writeBudgetBytesPerDay is kept again'),
        onFailed: reason => end(`the outbox must be opened again: ${reason}`, 1),
      }),
    )
    stack.use(startSchedule(outbox.pruneSchedule, writer.prune))
    if (writer.healed) log.error(writer.healed, 'the outbox was damaged and is salvaged')
    const broker = stack.use(
      await startBroker({
        accept: writer.accept,
        limits: gateway.mqtt,
        unreleased: () => writer.position.qos2Unreleased,
        onRefused: () => metrics.refused(1),
        onAcknowledged: metrics.acknowledged,
        onBroken: (client, reason) => {
          metrics.broken()
          log.debug({ client, reason }, 'connection broken')
        },
      }),
    )
    const parts = { writer, broker, metrics }
    stack.use(
      await serveHttp({
        ...gateway.http,
        key: 'gateway.http',
        notReadyReasons: () => unreadyReasons(parts),
        alarms: () => [...damageAlarms('outbox', writer.position.asides), ...wearAlarms(writer)],
        metrics: metrics.text,
        state: () => gatewayState(parts),
        commands: deadLetterCommands(writer),
      }),
    )
    const { host, port, allowAnonymous } = gateway.mqtt
    log.info({ host, port, outbox: outbox.file, epoch: writer.epoch }, 'accepting')
    if (allowAnonymous) log.warn({ host }, 'anybody who reaches this address may publish')
    log.info({ signal: await stopped }, 'stopping')
  } catch (error) {
    if (error instanceof CannotStart) end(error.message, error.exitCode)
    else end((error as Error).stack ?? String(error), 1)
  }
}
