import { setPriority } from 'node:os'
import { Command as Program } from 'commander'
import { type Config, describeFaults, loadConfig } from '../config/config.ts'
import type { Command } from '../config/process/commands.ts'
import { keepHeapSmall } from '../config/process/heap.ts'
import { serveHttp } from '../config/process/http-server.ts'
import { CannotStart, untilSignal } from '../config/process/lifetime.ts'
import { openLog } from '../config/process/log.ts'
import { alarmsOf, asidesOf } from '../gateway/store/file/damaged-files.ts'
import { openInbox } from '../gateway/store/inbox.ts'
import { type EventSource, openEventSource } from '../gateway/store/source/event-source.ts'
import { runBridge, watchOutbox } from './forward/bridge.ts'
import { startMetrics } from './forward/metrics.ts'
import { reasonsOf, stateOf } from './forward/status.ts'
import { configuredFraming } from './framing/configured-framing.ts'
import { openKafka } from './kafka/configured-client.ts'
import { startDecisions } from './partitions/between-batches.ts'
import { moveCommand, type PartitionsOptions, showCommand } from './partitions/command.ts'
import { disagreement } from './partitions/zone-spread.ts'
import { replayCommand } from './replay/command.ts'
import { type Flows, goes, startFlows, waits } from './retry/flow-status.ts'
import { finerZones } from './zones/finer-zones.ts'
import { startHotZones } from './zones/hot-zones.ts'

const STOP_MS = 8000
const BLIND =
  'nobody sees whether Kafka would delete a late backlog at once: the right DescribeConfigs on the ' +
  'topics is missing (docs/security.md)'
const nothing = { events: 0, bytes: 0, oldestAgeMs: 0 }

const { config: file } = new Program('sluice bridge')
  .description('Carries what the gateway stored to Kafka, partitioned by zone, until none waits.')
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
// Devices wait for the gateway; nobody waits for the bridge.
setPriority(6)
await run(loaded.config)

async function run(config: Config): Promise<void> {
  const { bridge, kafka, inbox: inboxOptions, outbox } = config
  const log = openLog('bridge', config.log.level)
  const ending = new AbortController()
  const stopped = untilSignal(STOP_MS)
  const end = (message: string, code: number) => {
    log.fatal(message)
    process.exit(code)
  }
  const flows = startFlows(
    { firstMs: bridge.backoffFirstMs, maxMs: bridge.backoffMaxMs, stableMs: bridge.stableMs },
    (flow, away) => (away ? log.warn({ reason: away }, waits(flow)) : log.info(goes(flow))),
  )
  try {
    await using stack = new AsyncDisposableStack()
    const inbox = stack.adopt(openInbox(inboxOptions), one => one.close())
    if (inbox.healed) log.error(inbox.healed, 'the inbox was damaged and is begun anew')
    const source = stack.adopt(openEventSource({ outboxFile: outbox.file, inbox }), one =>
      one.close(),
    )
    const client = await openKafka(kafka)
    const { partitionsOf, settingsOf } = client.topics
    const hotZones = watchHotZones(config, log)
    const metrics = startMetrics({
      waiting: () => source.backlog() ?? nothing,
      hotZones: hotZones.list,
      circuits: () => flows.states.circuits,
    })
    const decisions = startDecisions(source.wake)
    const asked = { config, log, source, flows, decisions, partitionsOf }
    const parts = () => ({ source, metrics, hotZones, kafka: flows.states })
    stack.use(
      await serveHttp({
        ...bridge.http,
        key: 'bridge.http',
        reasons: () => reasonsOf(parts()),
        alarms: () => [
          ...alarmsOf('inbox', asidesOf(inboxOptions.file)),
          ...hotZones.alarms(),
          ...disagreement(kafka.partitions, source.ranges),
        ],
        metrics: metrics.text,
        state: () => stateOf(parts()),
        commands: commandsOf(asked),
      }),
    )
    log.info(
      { outbox: outbox.file, inbox: inboxOptions.file, brokers: kafka.brokers },
      'forwarding',
    )
    stopped.then(signal => {
      log.info({ signal }, 'stopping')
      ending.abort()
      source.wake()
    })
    if (kafka.brokers.length === 0) {
      const reason = 'kafka.brokers is not configured: everything stays in the outbox'
      flows.begin('events').unavailable(reason)
      await watchOutbox({ config, source, signal: ending.signal })
      return
    }
    await runBridge({
      ...{ config, source, inbox, metrics, hotZones, partitionsOf, flows, signal: ending.signal },
      frame: configuredFraming(config, inbox, ending.signal, line => log.warn(line)),
      ...{ decisions, onDisagreement: reason => log.warn(reason) },
      openSink: client.openSink,
      settingsOf,
      onBlind: topic => log.warn({ topic }, BLIND),
    })
  } catch (error) {
    if (error instanceof CannotStart) end(error.message, error.exitCode)
    else end((error as Error).stack ?? String(error), 1)
  }
}

function watchHotZones({ ingest }: Config, log: ReturnType<typeof openLog>) {
  return startHotZones({
    cureOf: taking => finerZones(taking, ingest.routes),
    onHot: (zone, alarm) => log.warn({ zone }, alarm),
    onCool: zone => log.info({ zone }, 'the zone is no longer hot'),
  })
}

type Asked = Omit<PartitionsOptions, 'kafka' | 'away'> & {
  config: Config
  log: ReturnType<typeof openLog>
  source: EventSource
  flows: Flows
}

/** What an operator may ask for; what was done is logged. */
function commandsOf({ config, log, source, flows, ...asked }: Asked): Record<string, Command> {
  const { kafka, outbox } = config
  const topic = kafka.topics.backfill
  const away = () => flows.states.away.events ?? null
  const options = { kafka, source, away, ...asked }
  const logged =
    (what: string, command: Command): Command =>
    async input => {
      const answer = await command(input)
      log.info({ asked: input, ...answer }, what)
      return answer
    }
  return {
    '/replay': logged('replay', replayCommand({ outboxFile: outbox.file, topic, ...options })),
    '/partitions': showCommand(options),
    '/partitions/move': logged('partitions move', moveCommand(options)),
  }
}
