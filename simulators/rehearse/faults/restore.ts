import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bellFile } from '../../../gateway/store/file/bell.ts'
import { fetchState } from '../../processes/sluice-process.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const RUN_MS = 1500

/**
 * Puts an old copy of the outbox back in place of the present one, as an operator does with a
 * backup, with the bell of then or of now: no number may be used a second time. What had been
 * delivered must count once, so everything is delivered before.
 */
export async function rehearseRestore(
  stage: Stage,
  { times }: { times: number },
): Promise<RehearsalOutcome> {
  const { outbox } = stage.config
  const files = ['', '-wal'].map(suffix => outbox.file + suffix)
  const copyOf = (file: string) => `${file}.copy`
  for (let time = 0; time < times; time++) {
    const withBell = time % 2 === 1
    const all = withBell ? [...files, bellFile(outbox.file)] : files
    await stage.devices.run(RUN_MS)
    await whileDown(stage, () => {
      for (const file of all) if (existsSync(file)) copyFileSync(file, copyOf(file))
    })
    await stage.devices.run(RUN_MS)
    await stage.drain()
    await whileDown(stage, () => {
      rmSync(`${outbox.file}-shm`, { force: true })
      for (const file of all) {
        rmSync(file, { force: true })
        if (existsSync(copyOf(file))) renameSync(copyOf(file), file)
      }
    })
  }
  await stage.devices.run(RUN_MS)
  const left = await stage.drain()
  const remarks = [
    'the bell of now and of then in turn',
    ...(left > 0 ? [`${left} still in the outbox`] : []),
  ]
  return outcomeOf('restore', times, await stage.judge(), remarks)
}

/**
 * Ends the gateway, does something to its files before it is started again, and waits for it. Not
 * by SIGKILL: a copy without the -shm file may bring back a commit that a kill had cut off, which
 * nobody saw acknowledged but the ledger would rightly miss.
 */
async function whileDown({ gateway, config }: Stage, work: () => void): Promise<void> {
  gateway.kill('SIGTERM')
  while (gateway.state.name !== 'waiting') await sleep(1)
  work()
  while (gateway.pid === null || (await fetchState(config.gateway.http))?.pid !== gateway.pid) {
    await sleep(20)
  }
}
