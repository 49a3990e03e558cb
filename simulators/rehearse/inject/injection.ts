import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileLibrary } from './compilation.ts'

const CONTROL_BYTES = 24

/** What goes wrong from now on in the process that was started with `env`. */
export type InjectedFaults = {
  /** Of every write to a database file. */
  writes?: 'ENOSPC' | 'EROFS' | 'EIO'
  /** Of every fsync. */
  syncs?: 'EIO'
  /** How long each fsync takes besides. */
  syncDelayMs?: number
  /** What is added to the clock on the wall. */
  clockShiftS?: number
}

export type FaultInjection = Disposable & {
  env: NodeJS.ProcessEnv
  /** Takes the place of what was set before. */
  setFaults(faults: InjectedFaults): void
}

/**
 * Prepares a process in which faults can be set at will, without root: a small library in front of
 * libc, compiled on the spot. Null where there is no C compiler, or no Linux.
 */
export function openFaultInjection(): FaultInjection | null {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-inject-'))
  const library = compileLibrary('inject.c', dir)
  if (library === null) {
    rmSync(dir, { recursive: true })
    return null
  }
  const file = join(dir, 'control')
  const control = openSync(file, 'w+')
  const set = ({ writes, syncs, syncDelayMs = 0, clockShiftS = 0 }: InjectedFaults) => {
    const bytes = Buffer.alloc(CONTROL_BYTES)
    bytes.writeInt32LE(writes ? constants.errno[writes] : 0, 0)
    bytes.writeInt32LE(syncs ? constants.errno[syncs] : 0, 4)
    bytes.writeBigInt64LE(BigInt(clockShiftS), 8)
    bytes.writeInt32LE(syncDelayMs, 16)
    writeSync(control, bytes, 0, CONTROL_BYTES, 0)
  }
  set({})
  return {
    env: { LD_PRELOAD: library, REHEARSAL_CONTROL: file },
    setFaults: set,
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}
