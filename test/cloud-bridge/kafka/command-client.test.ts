import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { createCommandClient } from '../../../cloud-bridge/kafka/configured-client.ts'
import { defaults } from '../../../config/config.ts'

it.each(['kafkajs', 'platformatic'] as const)(
  'a command says that it waits for a Kafka that accepts and never answers: %s',
  async client => {
    const sockets: Socket[] = []
    const server = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => {})
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const broker = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const options = { ...defaults.kafka, client, brokers: [broker], requestTimeoutMs: 60_000 }
    const waiting = await new Promise<string>((resolve, reject) => {
      const ask = async () => {
        const { stream } = await createCommandClient(options, resolve, 20)
        await stream.topicOffsets(['readings'])
      }
      ask().catch(reject)
    })
    expect(waiting).toBe(`waiting for Kafka at ${broker}`)
    for (const socket of sockets) socket.destroy()
    server.close()
  },
)
