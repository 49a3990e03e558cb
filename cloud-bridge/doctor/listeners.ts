import { createServer } from 'node:net'
import type { Config } from '../../config/config.ts'
import { listen } from '../../config/process/listener.ts'
import { type Check, type Finding, fault, ok, warn } from './finding.ts'

const ANSWER_WITHIN_MS = 2000
type Address = { host: string; port: number }
/** What a part of ours says of itself on /state and /health. */
type Running = { part: string; pid: number; reasons: string[]; alarms: string[] }

/** Whether gateway and bridge run, and what they complain of; if not, whether they could listen. */
export function listenerChecks({ gateway, bridge }: Pick<Config, 'gateway' | 'bridge'>): Check[] {
  const checkOf = (
    part: 'gateway' | 'bridge',
    http: Address,
    others: [string, Address][],
  ): Check => ({
    what: part,
    async look() {
      const running = await ask(http)
      if (running?.part === part) return complaints(part, running)
      const all: [string, Address][] = [[`${part}.http`, http], ...others]
      const found = (await Promise.all(all.map(([key, at]) => blockOf(key, at)))).flat()
      return found.length > 0 ? found : [ok(part, `does not run; ${portsOf(all)} free`)]
    },
  })
  return [
    checkOf('gateway', gateway.http, [['gateway.mqtt', gateway.mqtt]]),
    checkOf('bridge', bridge.http, []),
  ]
}

function complaints(part: string, { pid, reasons, alarms }: Running): Finding[] {
  const cure = 'It goes on by itself when that is mended'
  return [
    ok(part, `runs (process ${pid})`),
    ...reasons.map(reason => warn(part, reason, cure)),
    ...alarms.map(alarm => warn(part, alarm, 'Look at it; it does its work')),
  ]
}

async function blockOf(key: string, { host, port }: Address): Promise<Finding[]> {
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

const portsOf = (all: [string, Address][]) => {
  const ports = all.map(([, { port }]) => port)
  return ports.length > 1 ? `ports ${ports.join(' and ')} are` : `port ${ports[0]} is`
}

async function ask({ host, port }: Address): Promise<Running | null> {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host
  const at = `http://${name.includes(':') ? `[${name}]` : name}:${port}`
  const page = async (path: string) => {
    const answer = await fetch(at + path, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    return (await answer.json()) as Partial<Running>
  }
  try {
    const [state, health] = await Promise.all([page('/state'), page('/health')])
    return { part: '', pid: 0, reasons: [], alarms: [], ...health, ...state }
  } catch {
    return null
  }
}
