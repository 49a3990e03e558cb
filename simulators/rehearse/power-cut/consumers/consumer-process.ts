import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mulberry32 } from '../../../building/random.ts'
import { type CommitMark, createCommitPromises } from './commit-promises.ts'
import { type Consumer, consumers } from './consumer-stores.ts'

/** The orders of a recorded process: a number of commits of each consumer. */
export type ConsumerOrders = { dir: string; seed: number; run: number; commits: number }

/** What a process prints when it has done all its work. Then the process kills itself. */
export const DONE = 'done'

if (import.meta.main) await execute(JSON.parse(process.argv[2]!))

// Closes some consumers cleanly; the others stay as kill -9 leaves them.
async function execute({ dir, seed, run, commits }: ConsumerOrders): Promise<void> {
  const random = mulberry32(seed + run)
  for (const [name, consumer] of Object.entries(consumers)) {
    const work = await commitTo(join(dir, name), consumer, { seed, commits })
    if (random() < 0.5) await work.close()
  }
  process.stdout.write(DONE, () => process.kill(process.pid, 'SIGKILL'))
}

/** Commits further numbers, and writes each request and each promise into the file `marks`. */
async function commitTo(
  dir: string,
  consumer: Consumer,
  { seed, commits }: { seed: number; commits: number },
) {
  mkdirSync(dir, { recursive: true })
  const marks = join(dir, 'marks')
  const promises = createCommitPromises()
  if (existsSync(marks)) promises.addLines(readFileSync(marks, 'utf8'))
  const mark = (next: CommitMark) => appendFileSync(marks, `${JSON.stringify(next)}\n`)
  const work = await consumer.open(dir, seed)
  const last = work.committed + commits
  for (let number = work.committed + 1; number <= last; number++) {
    mark({ committing: number })
    await work.commit(number)
    mark({ committed: number })
  }
  return work
}
