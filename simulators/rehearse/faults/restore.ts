import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bellFile } from '../../../gateway/store/file/bell.ts'
import { fetchState } from '../../processes/sluice-process.ts'
import { outcomeOf, type RehearsalOutcome } from '../stage/outcome.ts'
import type { Stage } from '../stage/stage.ts'

const RUN_MS = 1500

/**
 * Replaces the outbox by an older copy, like an operator who restores a backup, alternately with
 * the bell of the backup and with the current bell. No sequence may be used twice. Everything is
 * delivered before the restore, so each event must still count once.
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
  const undelivered = await stage.drain()
  const remarks = [
    'with the current bell and that of the backup in turn',
    ...(undelivered > 0 ? [`${undelivered} still in the outbox`] : []),
  ]
  return outcomeOf('restore', times, await stage.judge(), remarks)
}

/**
 * Ends the gateway, changes its files before the restart, and waits until the gateway answers. Ends
 * the gateway by SIGTERM and not by SIGKILL, because a copy without the -shm file may contain a
 * commit that a kill interrupted. No device received an acknowledgement of that commit, but the
 * ledger would rightly report its events as missing.
 */
async function whileDown({ gateway, config }: Stage, work: () => void): Promise<void> {
  gateway.kill('SIGTERM')
  while (gateway.state.name !== 'waiting') await sleep(1)
  work()
  while (gateway.pid === null || (await fetchState(config.gateway.http))?.pid !== gateway.pid) {
    await sleep(20)
  }
}
