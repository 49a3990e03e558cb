// `npm run model -- ledger --histories N --seed S` runs many random histories, and stops at the
// first one that fails. With --real, the histories use real stores and a real Kafka.
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
const usage = 'usage: npm run model -- ledger [--histories N] [--seed S] [--real]\n'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    histories: { type: 'string' },
    seed: { type: 'string', default: '1' },
    real: { type: 'boolean', default: false },
  },
})
const histories = Number(values.histories ?? (values.real ? 20 : 10_000))
const seed = Number(values.seed)
if (positionals.join() !== 'ledger' || !(histories > 0) || !Number.isInteger(seed)) {
  process.stderr.write(usage)
  process.exitCode = exitStatusOf('ERR_MISCONFIGURED')
} else {
  const failure = values.real ? await findRealFailure() : findFailure(seed, histories, onDone)
  process.stdout.write(`${failure ?? `${histories} histories, none fails`}\n`)
  process.exitCode = exitStatusOf(failure ? 'ERR_NEGATIVE' : 'DONE')
}

function onDone(done: number): void {
  const isDue = values.real || done % PROGRESS_EVERY === 0
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
