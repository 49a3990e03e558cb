import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { listen } from '../../../config/process/listener.ts'

it('names key, address and cure when a host name has no address', async () => {
  const listening = listen(createServer(), 'gateway.mqtt', { host: 'nosuchhost.invalid', port: 1 })
  await expect(listening).rejects.toThrow(
    /^gateway\.mqtt = nosuchhost\.invalid:1: this host name .*\. Write an IP address/,
  )
})
