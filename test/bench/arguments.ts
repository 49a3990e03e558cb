import { parseArgs } from 'node:util'
import type { Config } from '../../config/config.ts'
import { fullSizes, quickSizes, type Sizes } from './sizes.ts'

export type Client = Config['kafka']['client']
export type Arguments = {
  names: string[]
  runs: number
  sizes: Sizes
  /** The Kafka client libraries, for benches that compare them. */
  clients: Client[]
  isQuick: boolean
}

const CLIENTS: Client[] = ['kafkajs', 'platformatic']
/**
 * The client of benches that do not compare clients, so that a changed default of the product does
 * not change their figures.
 */
export const BASELINE_CLIENT: Client = 'kafkajs'

/**
 * Parses the command line; `parts` are the names of all benches. Returns the usage text for
 * `--help`. Throws an Error that names the wrong argument.
 */
export function readArguments(args: string[], parts: string[]): Arguments | string {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '1' },
      minutes: { type: 'string' },
      events: { type: 'string' },
      client: { type: 'string', default: 'both' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return usageOf(parts)
  const strange = positionals.find(name => !parts.includes(name))
  if (strange !== undefined)
    throw new Error(`no bench is called ${strange}: the benches are ${parts.join(', ')}`)
  const sizes = structuredClone(values.quick ? quickSizes : fullSizes)
  if (values.minutes !== undefined) sizes.memory.minutes = positive('minutes', values.minutes)
  if (values.events !== undefined) {
    sizes.backlog.waiting.push(positive('events', values.events))
    sizes.consumers.events = positive('events', values.events)
  }
  const runs = Math.ceil(positive('runs', values.runs))
  const clients = CLIENTS.filter(one => values.client === 'both' || values.client === one)
  if (clients.length === 0)
    throw new Error(`--client is ${values.client}: give ${CLIENTS.join(', ')} or both`)
  const names = parts.filter(name => positionals.length === 0 || positionals.includes(name))
  return { names, runs, sizes, clients, isQuick: values.quick }
}

export function usageOf(parts: string[]): string {
  return `Usage: npm run bench -- [${parts.join('|')}]… [options]

  --runs N       repeat all N times in turn; each figure is the median, with min and max
  --quick        small sizes, to see whether the bench works; targets hold for full sizes
  --minutes N    how long the memory bench runs (10)
  --events N     backlog: one more backlog size, such as 10000000 (two minutes to fill)
                 consumers: how many events the consumers read (2000000)
  --client NAME  drain, live, recovery, outage, consumers: kafkajs, platformatic or both (both)

All benches take half an hour, ten minutes of it memory. Each figure is one line of JSON, and
a table follows. Targets are reported, not enforced.
`
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value)))
    throw new Error(`--${name} is ${text}: give a number above 0`)
  return value
}
