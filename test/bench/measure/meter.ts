import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** The resources that a process has used since its start; null where the system does not report. */
export type ResourceUse = {
  cpuSeconds: number | null
  /** Bytes that the process caused to be written to a disk. */
  writtenBytes: number | null
  rssMb: number | null
  rssPeakMb: number | null
}

/** USER_HZ, which is 100 on every Linux that Node runs on (man 5 proc). */
const TICKS_PER_SECOND = 100

/** Reads the resource use of a process from /proc; all null on systems other than Linux. */
export function readResourceUse(pid: number): ResourceUse {
  const stat = read(`/proc/${pid}/stat`)
  // The name of the command is in parentheses and may contain any character.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields && Number(fields[11]) + Number(fields[12])
  const status = read(`/proc/${pid}/status`)
  return {
    cpuSeconds: ticks === undefined ? null : ticks / TICKS_PER_SECOND,
    writtenBytes: find(read(`/proc/${pid}/io`), /^write_bytes: (\d+)/m),
    rssMb: megabytes(find(status, /^VmRSS:\s+(\d+) kB/m)),
    rssPeakMb: megabytes(find(status, /^VmHWM:\s+(\d+) kB/m)),
  }
}

/**
 * Measures the resource use of processes from now on. `read` returns the resource use since then;
 * RSS and its peak are absolute values.
 */
export function createMeter<Name extends string>(pids: Record<Name, number>) {
  const names = Object.keys(pids) as Name[]
  const before = new Map(names.map(name => [name, readResourceUse(pids[name])]))
  const busyBefore = busySeconds()
  const ownBefore = process.cpuUsage()
  const startedMs = performance.now()
  return {
    read(): Record<Name, ResourceUse> {
      const entries = names.map(name => {
        const [first, now] = [before.get(name)!, readResourceUse(pids[name])]
        const cpuSeconds = less(now.cpuSeconds, first.cpuSeconds)
        return [
          name,
          { ...now, cpuSeconds, writtenBytes: less(now.writtenBytes, first.writtenBytes) },
        ]
      })
      return Object.fromEntries(entries)
    },
    /** The fraction of all processor time that neither `cpuSeconds` nor this process used. */
    othersShare(cpuSeconds: number): number | null {
      const { user, system } = process.cpuUsage(ownBefore)
      const busy = less(busySeconds(), busyBefore)
      const whole = ((performance.now() - startedMs) / 1000) * cpus().length
      return busy === null ? null : Math.max(0, (busy - cpuSeconds - (user + system) / 1e6) / whole)
    },
  }
}

/** `use` divided by `count`, times `unit`; null stays null. */
export function perUnit(use: number | null, count: number, unit = 1): number | null {
  return use === null || count === 0 ? null : (use / count) * unit
}

/** The ratio of two values; null when a value is null. */
export function ratio(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one / other
}

/** The sum of the values; null when a value is null. */
export function sum(...values: (number | null)[]): number | null {
  return values.reduce(
    (total, value) => (total === null || value === null ? null : total + value),
    0,
  )
}

function busySeconds(): number | null {
  const fields = read('/proc/stat')?.split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number)
  if (!fields) return null
  // user, nice, system, irq, softirq, steal: all but idle and iowait
  const busy = [0, 1, 2, 5, 6, 7].reduce((total, at) => total + (fields[at] ?? 0), 0)
  return busy / TICKS_PER_SECOND
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

function find(text: string | null, pattern: RegExp): number | null {
  const found = text === null ? null : pattern.exec(text)
  return found ? Number(found[1]) : null
}

const megabytes = (kilobytes: number | null) => (kilobytes === null ? null : kilobytes * 0.001024)
const less = (now: number | null, before: number | null) =>
  now === null || before === null ? null : now - before
