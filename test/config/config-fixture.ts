import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'

/** Opens a temporary directory for one test file; its functions load configurations from there. */
export function openConfigDir() {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-config-'))
  const write = (name: string, text: string | Uint8Array) => {
    writeFileSync(join(dir, name), text)
    return join(dir, name)
  }
  const load = (yaml: string | Uint8Array, env: Record<string, string> = {}) =>
    loadConfig({ file: write('sluice.yaml', yaml), env })

  return {
    dir,
    write,
    /** The faults as an operator reads them, one per entry, without the directory; [] if none. */
    faultsOf(yaml: string | Uint8Array, env: Record<string, string> = {}): string[] {
      const loaded = load(yaml, env)
      if (!('faults' in loaded)) return []
      return describeFaults(loaded.faults).replaceAll(`${dir}/`, '').split('\n')
    },
    /** The configuration; throws if there are faults. */
    configOf(yaml: string | Uint8Array, env: Record<string, string> = {}): Config {
      const loaded = load(yaml, env)
      if ('faults' in loaded) throw new Error(describeFaults(loaded.faults))
      return loaded.config
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  }
}
