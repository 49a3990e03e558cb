import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'

/** The context of each printed line: date, commit and machine of the measurement. */
export function contextOf({ isQuick }: { isQuick: boolean }) {
  const isSetting = (name: string) => name.startsWith('SLUICE_') && name !== 'SLUICE_CACHE'
  const settings = Object.entries(process.env).filter(([name]) => isSetting(name))
  return {
    date: new Date().toISOString(),
    commit: commit(),
    cpu: cpus()[0]?.model ?? null,
    cpus: cpus().length,
    node: process.version,
    ...(isQuick && { quick: true }),
    // A setting from the environment changes the default, so every figure shows the setting.
    ...(settings.length > 0 && { settings: Object.fromEntries(settings) }),
  }
}

function commit(): string | null {
  try {
    const output = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return output.trim()
  } catch {
    return null
  }
}
