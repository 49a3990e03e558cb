// npm run model -- ledger [--histories N] [--seed S] [--real]: runs random histories, and stops at
// the first one that fails. Prints progress on stderr and the result on stdout.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitStatusOf } from '../config/process/exit-codes.ts'
import { startLocalKafka } from '../simulators/kafka/local-kafka.ts'
import { findFailure } from './cloud-bridge/ledger/histories/history.ts'
import { RealHistory } from './cloud-bridge/ledger/histories/real/real-history.ts'
import { cacheDir } from './setup/kafka/java.ts'

const PROGRESS_EVERY = 1000
const USAGE = `Usage: npm run model -- ledger [options]

  ledger           runs random histories of stores, and compares the ledger's verdict with the truth

  --histories N    how many histories are run at most (10000; with --real: 20)
  --seed S         the seed of the first history; equal seeds give equal histories (1)
  --real           uses real stores and a real Kafka
  --help           prints this text

The exit status is 1 when a history fails; stdout then has the seed and the steps of that history.
Without --real, the steps are the fewest that still fail.
`

const { histories, seed, isReal } = argumentsOrExit()
const failure = isReal ? await findRealFailure() : findFailure(seed, histories, onDone)
process.stdout.write(`${failure ?? `${histories} histories, none fails`}\n`)
process.exitCode = exitStatusOf(failure ? 'ERR_NEGATIVE' : 'DONE')

function onDone(done: number): void {
  const isDue = isReal || done % PROGRESS_EVERY === 0
  if (isDue) process.stderr.write(`${done} of ${histories} histories\n`)
}

async function findRealFailure(): Promise<string | null> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-model-kafka-'))
  try {
    await using kafka = await startLocalKafka({ dir, port: 0, cacheDir })
    for (let done = 0; done < histories; done++) {
      using history = new RealHistory(kafka.brokers)
      const failure = await history.run(seed + done)
      if (failure) return [`seed ${seed + done}: ${failure}`, ...history.steps].join('\n  ')
      onDone(done + 1)
    }
    return null
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function argumentsOrExit() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        histories: { type: 'string' },
        seed: { type: 'string', default: '1' },
        real: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(exitStatusOf('DONE'))
    }
    if (positionals.join() !== 'ledger') throw new Error('say what to test: ledger')
    const count = numberOf('histories', values.histories ?? (values.real ? '20' : '10000'), 1)
    return { histories: count, seed: numberOf('seed', values.seed, 0), isReal: values.real }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`)
    process.exit(exitStatusOf('ERR_MISCONFIGURED'))
  }
}

function numberOf(option: string, text: string, min: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= min) return value
  throw new Error(`--${option} is ${JSON.stringify(text)}: give a whole number of at least ${min}`)
}
