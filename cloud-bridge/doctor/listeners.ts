import { createServer } from 'node:net'
import type { Config } from '../../config/config.ts'
import { OUTBOX_REFUSES } from '../../config/process/gateway-state.ts'
import { listen } from '../../config/process/listener.ts'
import { findLockHolder, type LockHolder } from '../../gateway/store/file/lock.ts'
import { openOutboxReader } from '../../gateway/store/read/outbox-reader.ts'
import { type Check, type Finding, fault, ok, warning } from './finding.ts'

const RESPONSE_WITHIN_MS = 2000
/** The doctor cannot know whose process it is, so it never advises to end the process. */
const TAKEN_CURE =
  "It does not write this configuration's files. See which process it is (ss -ltnp), and choose " +
  'another port, or give the doctor the --config of that process'
type Address = { host: string; port: number }
/**
 * What a running gateway or bridge reports on /state and /health. `store` is the id of its outbox
 * and `outbox` the path; null when unknown.
 */
type ProcessReport = {
  part: string
  pid: number
  gateway: string | null
  store: string | null
  outbox: string | null
  reasons: string[]
  alarms: string[]
}

type Part = 'gateway' | 'bridge'

/**
 * Whether gateway and bridge run, and their reasons and alarms; if one does not run, whether its
 * ports are free. The lock of the part's file says whether the part runs: a part that starts,
 * recovers its file or is overloaded may not answer, and must not be taken for a foreign process.
 * A part that answers with another outbox belongs to another configuration.
 */
export function listenerChecks({
  gateway,
  bridge,
  outbox,
  inbox,
}: Pick<Config, 'gateway' | 'bridge' | 'outbox' | 'inbox'>): Check[] {
  const checkOf = (
    part: Part,
    file: string,
    http: Address,
    others: [string, Address][],
  ): Check => ({
    subject: part,
    async run() {
      const holder = holderOf(file)
      const report = await fetchReport(http)
      const answers = report?.part === part
      if (answers && isOwn(report, holder, outbox.file)) return reportFindings(part, report)
      if (!answers && holder && holder !== 'unreadable') {
        return [silentFinding(part, file, http, holder)]
      }
      const listeners: [string, Address][] = [[`${part}.http`, http], ...others]
      if (answers) {
        const taken = others.map(([key, address]) => listenFindings(key, address))
        return [otherFinding(part, http, report), ...(await Promise.all(taken)).flat()]
      }
      const checked = listeners.map(([key, address]) => listenFindings(key, address))
      const faults = (await Promise.all(checked)).flat()
      return faults.length > 0 ? faults : [ok(part, `does not run; ${listPorts(listeners)} free`)]
    },
  })
  return [
    checkOf('gateway', outbox.file, gateway.http, [['gateway.mqtt', gateway.mqtt]]),
    checkOf('bridge', inbox.file, bridge.http, []),
  ]
}

function reportFindings(part: string, { pid, reasons, alarms }: ProcessReport): Finding[] {
  const cure = `The ${part} continues by itself when this is fixed`
  return [
    ok(part, `runs (process ${pid})`),
    ...reasons.map(reason =>
      reason.startsWith(OUTBOX_REFUSES) ? fault(part, reason, cure) : warning(part, reason, cure),
    ),
    ...alarms.map(alarm =>
      warning(part, alarm, `Remove the cause of this alarm; the ${part} continues meanwhile`),
    ),
  ]
}

/** The process that writes the file now; null when no process writes the file. */
function holderOf(file: string): LockHolder | 'unreadable' | null {
  try {
    return findLockHolder(`${file}.lock`)
  } catch {
    return 'unreadable'
  }
}

/**
 * Whether the process that answers has this configuration's outbox. Without a lock on the file,
 * only an equal store proves this; with a lock, only a different store disproves it.
 */
function isOwn(
  { pid, store }: ProcessReport,
  holder: ReturnType<typeof holderOf>,
  outboxFile: string,
): boolean {
  if (holder !== null && holder !== 'unreadable' && holder.pid === pid) return true
  const ownStore = storeOf(outboxFile)
  if (store !== null && ownStore !== null) return store === ownStore
  return holder !== null
}

function storeOf(outboxFile: string): string | null {
  const reader = openOutboxReader(outboxFile)
  reader?.close()
  return reader?.store.toString('hex') ?? null
}

/** The finding about another configuration's part at the address of this configuration's part. */
function otherFinding(part: Part, { host, port }: Address, report: ProcessReport): Finding {
  const { pid, gateway, store, outbox } = report
  const file = outbox ?? (store === null ? 'unknown' : `with the store ${store}`)
  const other = `the ${part} of another configuration listens there (process ${pid}, gateway.id`
  const value = `${host}:${port}: ${other} ${gateway ?? 'unknown'}, outbox ${file})`
  const cure = `Choose another port for ${part}.http, or give the doctor the --config of that`
  return fault(`${part}.http`, value, `${cure} ${part}`)
}

/** The finding about a part that holds the lock of its file and does not answer. */
function silentFinding(part: Part, file: string, http: Address, { pid }: LockHolder): Finding {
  const holder = pid === null ? 'a process' : `process ${pid}`
  const silence = `does not answer at ${http.host}:${http.port} (${part}.http)`
  const reasons = 'It may be starting, recovering the file, or overloaded, or have another address'
  const cure = `${reasons}. Let it run: see its log, and run the doctor again`
  return warning(part, `${holder} runs with ${file}, but ${silence}`, cure)
}

/** Why the process could not listen at the address; empty when the address is free. */
async function listenFindings(key: string, { host, port }: Address): Promise<Finding[]> {
  const server = createServer()
  try {
    await listen(server, key, { host, port })
    await new Promise(resolve => server.close(resolve))
    return []
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } }
    const [value = '', ...cure] = message.slice(`${key} = `.length).split('. ')
    return [fault(key, value, cause?.code === 'EADDRINUSE' ? TAKEN_CURE : cure.join('. '))]
  }
}

const listPorts = (listeners: [string, Address][]) => {
  const ports = listeners.map(([, { port }]) => port)
  return ports.length > 1 ? `ports ${ports.join(' and ')} are` : `port ${ports[0]} is`
}

async function fetchReport({ host, port }: Address): Promise<ProcessReport | null> {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  const origin = `http://${name.includes(':') ? `[${name}]` : name}:${port}`
  const fetchPage = async (path: string) => {
    const signal = AbortSignal.timeout(RESPONSE_WITHIN_MS)
    const response = await fetch(origin + path, { signal })
    return (await response.json()) as Partial<ProcessReport>
  }
  try {
    const [state, health] = await Promise.all([fetchPage('/state'), fetchPage('/health')])
    const unknown = { part: '', pid: 0, gateway: null, store: null, outbox: null }
    return { ...unknown, reasons: [], alarms: [], ...health, ...state }
  } catch {
    return null
  }
}
