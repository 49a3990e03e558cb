import { createServer } from 'node:net'
import type { Config } from '../../config/config.ts'
import { listen } from '../../config/process/listener.ts'
import { type Check, type Finding, fault, ok, warning } from './finding.ts'

const RESPONSE_WITHIN_MS = 2000
type Address = { host: string; port: number }
/** What a running gateway or bridge reports on /state and /health. */
type ProcessReport = { part: string; pid: number; reasons: string[]; alarms: string[] }

/**
 * Whether gateway and bridge run, and their reasons and alarms; if one does not run, whether its
 * ports are free.
 */
export function listenerChecks({ gateway, bridge }: Pick<Config, 'gateway' | 'bridge'>): Check[] {
  const checkOf = (
    part: 'gateway' | 'bridge',
    http: Address,
    others: [string, Address][],
  ): Check => ({
    subject: part,
    async run() {
      const report = await fetchReport(http)
      if (report?.part === part) return reportFindings(part, report)
      const listeners: [string, Address][] = [[`${part}.http`, http], ...others]
      const checked = listeners.map(([key, address]) => listenFindings(key, address))
      const faults = (await Promise.all(checked)).flat()
      return faults.length > 0 ? faults : [ok(part, `does not run; ${listPorts(listeners)} free`)]
    },
  })
  return [
    checkOf('gateway', gateway.http, [['gateway.mqtt', gateway.mqtt]]),
    checkOf('bridge', bridge.http, []),
  ]
}

function reportFindings(part: string, { pid, reasons, alarms }: ProcessReport): Finding[] {
  const cure = `The ${part} continues by itself when this is fixed`
  return [
    ok(part, `runs (process ${pid})`),
    ...reasons.map(reason => warning(part, reason, cure)),
    ...alarms.map(alarm =>
      warning(part, alarm, `Remove the cause of this alarm; the ${part} continues meanwhile`),
    ),
  ]
}

/** Why the process could not listen at the address; empty when the address is free. */
async function listenFindings(key: string, { host, port }: Address): Promise<Finding[]> {
  const server = createServer()
  try {
    await listen(server, key, { host, port })
    await new Promise(resolve => server.close(resolve))
    return []
  } catch (error) {
    const [value = '', ...cure] = (error as Error).message.slice(`${key} = `.length).split('. ')
    return [fault(key, value, cure.join('. '))]
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
    return { part: '', pid: 0, reasons: [], alarms: [], ...health, ...state }
  } catch {
    return null
  }
}
