import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, describeFaults, loadConfig } from '../../config/config.ts'

/**
 * Creates a temporary directory for one test file, and functions that load configurations from the
 * directory.
 */
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
    /**
     * The faults as an operator reads them, one entry for each fault, without the directory's name;
     * [] without faults.
     */
    faultsOf(yaml: string | Uint8Array, env: Record<string, string> = {}): string[] {
      const loaded = load(yaml, env)
      if (!('faults' in loaded)) return []
      return describeFaults(loaded.faults).replaceAll(`${dir}/`, '').split('\n')
    },
    /** The configuration. Throws an Error with the faults when there are faults. */
    configOf(yaml: string | Uint8Array, env: Record<string, string> = {}): Config {
      const loaded = load(yaml, env)
      if ('faults' in loaded) throw new Error(describeFaults(loaded.faults))
      return loaded.config
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  }
}
