import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { stringify } from 'yaml'
import { findFreePort } from '../../simulators/kafka/free-port.ts'
import { temporary } from '../gateway/store/fixture.ts'

const main = fileURLToPath(new URL('../../cloud-bridge/main.ts', import.meta.url))
const waitOptions = { timeout: 90_000, interval: 200 }

it('a bridge without events says in /health that Kafka is away, and ends when its inbox is moved', async () => {
  using place = temporary()
  const [http, kafka] = [await findFreePort(), await findFreePort()]
  const [file, inbox] = [place.file('sluice.yaml'), place.file('inbox.db')]
  const config = {
    bridge: { http: { port: http } },
    kafka: { brokers: [`127.0.0.1:${kafka}`] },
    outbox: { file: place.file('outbox.db') },
    inbox: { file: inbox },
  }
  writeFileSync(file, stringify(config))
  const bridge = spawn(process.execPath, [main, '--config', file], { stdio: 'ignore' })
  const exited = once(bridge, 'exit')
  try {
    const alarms = async () => {
      const response = await fetch(`http://127.0.0.1:${http}/health`).catch(() => null)
      return ((await response?.json()) as { alarms?: string[] } | undefined)?.alarms
    }
    const away = expect.stringMatching(/^Kafka does not answer since /)
    await expect.poll(alarms, waitOptions).toEqual([away])
    renameSync(inbox, `${inbox}.moved`)
    expect(await exited).toEqual([1, null])
  } finally {
    bridge.kill('SIGKILL')
  }
}, 120_000)
