// `npm run model -- ledger --histories N --seed S` runs many random histories, and stops at the
// first one that fails.
import { parseArgs } from 'node:util'
import { exitStatusOf } from '../config/process/exit-codes.ts'
import { findFailure } from './cloud-bridge/ledger/histories/history.ts'

const PROGRESS_EVERY = 1000
const usage = 'usage: npm run model -- ledger [--histories N] [--seed S]\n'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    histories: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
})
const [histories, seed] = [Number(values.histories), Number(values.seed)]
if (positionals.join() !== 'ledger' || !(histories > 0) || !Number.isInteger(seed)) {
  process.stderr.write(usage)
  process.exitCode = exitStatusOf('ERR_MISCONFIGURED')
} else {
  const failure = findFailure(seed, histories, done => {
    if (done % PROGRESS_EVERY === 0) process.stderr.write(`${done} of ${histories} histories\n`)
  })
  process.stdout.write(`${failure ?? `${histories} histories, none fails`}\n`)
  if (failure) process.exitCode = exitStatusOf('ERR_NEGATIVE')
}
