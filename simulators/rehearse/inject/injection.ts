import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileLibrary } from './compilation.ts'

const CONTROL_BYTES = 24

/** The faults to inject from now on into the process that was started with `env`. */
export type InjectedFaults = {
  /** The error of every write to a database file. */
  writes?: 'ENOSPC' | 'EROFS' | 'EIO'
  /** The error of every fsync. */
  syncs?: 'EIO'
  /** The additional duration of every fsync, in ms. */
  syncDelayMs?: number
  /** The seconds that are added to the wall clock. */
  clockShiftS?: number
}

export type FaultInjection = Disposable & {
  /** The environment variables with which the process must be started. */
  env: NodeJS.ProcessEnv
  /** Replaces all faults that were set before; {} ends every fault. */
  setFaults(faults: InjectedFaults): void
}

/**
 * Prepares fault injection into a process, without root rights: compiles a small library that the
 * process preloads before libc. Returns null on a system other than Linux or without a C compiler.
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
  const setFaults = ({ writes, syncs, syncDelayMs = 0, clockShiftS = 0 }: InjectedFaults) => {
    const bytes = Buffer.alloc(CONTROL_BYTES)
    bytes.writeInt32LE(writes ? constants.errno[writes] : 0, 0)
    bytes.writeInt32LE(syncs ? constants.errno[syncs] : 0, 4)
    bytes.writeBigInt64LE(BigInt(clockShiftS), 8)
    bytes.writeInt32LE(syncDelayMs, 16)
    writeSync(control, bytes, 0, CONTROL_BYTES, 0)
  }
  setFaults({})
  return {
    env: { LD_PRELOAD: library, REHEARSAL_CONTROL: file },
    setFaults,
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}
