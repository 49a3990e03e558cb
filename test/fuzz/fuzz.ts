// npm run fuzz -- packets|payloads [--seed N] [--minutes M] …: sends
// mutated packets to a real gateway, or hostile payloads to the real decoder. Prints progress on
// stderr and one line of JSON on stdout.
import { parseArgs } from 'node:util'
import { fuzzPackets, type PacketReport } from './packet-fuzzer.ts'
import { fuzzPayloads, type PayloadReport } from './payload-fuzzer.ts'

const USAGE = `Usage: npm run fuzz -- packets|payloads [options]

  packets          sends mutated packets to a real gateway process
  payloads         gives hostile payloads to the real decoder

  --seed N         the seed; equal seeds give equal packets and payloads (1)
  --from N         the number of the first connection or payload, to repeat a part of a run (0)
  --minutes M      how long the run lasts at most (1)
  --packets N      how many packets are sent at most (no limit)
  --payloads N     how many payloads are decoded at most (no limit)
  --help           prints this text

The exit status is 1 when the gateway ended or did not answer, when the decoder threw, when
the memory of the gateway grew by 50 MB, or when it wrote more than 5 log lines for each
connection. The targets of a long run are 5 million packets and 1 million payloads.
`
const GROWTH_MAX_BYTES = 50_000_000
const LOG_LINES_MAX = 5

const { kind, seed, from, minutes, packets, payloads } = argumentsOrExit()
const endMs = performance.now() + minutes * 60_000
const isOver = () => performance.now() >= endMs
const progress = (text: string) => process.stderr.write(`${text}\n`)

if (kind === 'packets') {
  const report = await fuzzPackets({
    ...{ seed, from, packets, isOver },
    onProgress: state => progress(packetLine(state)),
  })
  process.stdout.write(`${JSON.stringify(report)}\n`)
  const isQuiet = report.logLinesPerConnection <= LOG_LINES_MAX
  const isBounded = report.rssGrowthBytes < GROWTH_MAX_BYTES
  process.exitCode = report.crashes === 0 && isQuiet && isBounded ? 0 : 1
} else {
  const report = fuzzPayloads({
    ...{ seed, from, payloads, isOver },
    onProgress: state => progress(payloadLine(state)),
  })
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = report.crashes.length === 0 ? 0 : 1
}

function packetLine(report: PacketReport): string {
  const {
    packets: sent,
    connections,
    messages,
    rssBytes,
    rssGrowthBytes,
    logLinesPerConnection,
  } = report
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
  return [
    `${sent} packets on ${connections} connections, ${report.crashes} crashes`,
    `${messages} messages stored`,
    `RSS ${megabytes(rssBytes)} (grown by ${megabytes(rssGrowthBytes)})`,
    `${logLinesPerConnection.toFixed(2)} log lines for each connection`,
  ].join(', ')
}

function payloadLine(report: PayloadReport): string {
  const { payloads: decoded, crashes, nsPerByte, worst } = report
  const [slowest] = worst
  const slow = slowest
    ? `, worst ${slowest.nsPerByte.toFixed(0)} ns a byte (${slowest.shape}, item ${slowest.item})`
    : ''
  return `${decoded} payloads, ${crashes.length} crashes, ${nsPerByte.toFixed(1)} ns a byte${slow}`
}

function argumentsOrExit() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string', default: '1' },
        from: { type: 'string', default: '0' },
        minutes: { type: 'string', default: '1' },
        packets: { type: 'string', default: `${Number.MAX_SAFE_INTEGER}` },
        payloads: { type: 'string', default: `${Number.MAX_SAFE_INTEGER}` },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const [name] = positionals
    if (positionals.length !== 1 || (name !== 'packets' && name !== 'payloads')) {
      throw new Error('say what to fuzz: packets or payloads')
    }
    const numberOf = (option: 'seed' | 'from' | 'minutes' | 'packets' | 'payloads') => {
      const value = Number(values[option])
      if (value >= 0 && Number.isFinite(value)) return value
      throw new Error(`--${option} is ${values[option]}: give a number`)
    }
    return {
      kind: name,
      ...{ seed: numberOf('seed'), from: numberOf('from'), minutes: numberOf('minutes') },
      ...{ packets: numberOf('packets'), payloads: numberOf('payloads') },
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`)
    process.exit(2)
  }
}
