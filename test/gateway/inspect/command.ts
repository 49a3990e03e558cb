import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { temporary } from '../store/fixture.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))

/**
 * A directory in which a test runs ./sluice, with a configuration whose files are in the same
 * directory.
 */
export function openWorkspace(parts: { [part: string]: object } = {}) {
  const directory = temporary()
  const outboxFile = directory.file('outbox.db')
  const inboxFile = directory.file('inbox.db')
  const consumers = {
    dir: directory.file('consumers'),
    archive: { dir: directory.file('archive') },
  }
  const config = { outbox: { file: outboxFile }, inbox: { file: inboxFile }, consumers, ...parts }
  writeFileSync(directory.file('sluice.yaml'), stringify(config))
  const startWith = (parts: NodeJS.ProcessEnv, ...args: string[]) => {
    const env = { ...process.env, SLUICE_CONFIG: directory.file('sluice.yaml'), ...parts }
    const child = spawn(process.execPath, [launcher, ...args], { env })
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', data => {
      output.stdout += data
    })
    child.stderr.on('data', data => {
      output.stderr += data
    })
    const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...output }))
    return { child, output, ended }
  }
  const start = (...args: string[]) => startWith({}, ...args)
  return {
    ...{ ...directory, outboxFile, inboxFile, start, startWith },
    remove: (name: string) => rmSync(directory.file(name), { force: true }),
    run: (...args: string[]) => start(...args).ended,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  }
}
