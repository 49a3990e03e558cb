import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { temporary } from '../store/fixture.ts'

const launcher = fileURLToPath(new URL('../../../sluice', import.meta.url))

/** A directory with a configuration whose files are in it, and ./sluice started on it. */
export function startCommands(more: { [part: string]: object } = {}) {
  const place = temporary()
  const outboxFile = place.file('outbox.db')
  const inboxFile = place.file('inbox.db')
  const config = { outbox: { file: outboxFile }, inbox: { file: inboxFile }, ...more }
  writeFileSync(place.file('sluice.yaml'), stringify(config))
  const startWith = (more: NodeJS.ProcessEnv, ...args: string[]) => {
    const env = { ...process.env, SLUICE_CONFIG: place.file('sluice.yaml'), ...more }
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
    ...{ ...place, outboxFile, inboxFile, start, startWith },
    remove: (name: string) => rmSync(place.file(name), { force: true }),
    run: (...args: string[]) => start(...args).ended,
    [Symbol.dispose]: () => place[Symbol.dispose](),
  }
}
