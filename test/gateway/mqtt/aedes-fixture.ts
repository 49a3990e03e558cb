import { createServer, type Socket } from 'node:net'
import { Aedes, type AedesOptions, type Client } from 'aedes'

export const WAIT = { timeout: 20_000, interval: 5 }

type Given = {
  options?: AedesOptions
  onBroker?: (aedes: Aedes) => void
  onClient?: (client: Client, socket: Socket) => void
}

/**
 * Starts an unmodified aedes on a free port; `onClient` is called before any byte of a client is
 * read.
 */
export async function startAedes({ options, onBroker, onClient }: Given) {
  const aedes = await Aedes.createBroker(options)
  onBroker?.(aedes)
  const errors: string[] = []
  for (const event of ['clientError', 'connectionError'] as const) {
    aedes.on(event, (_, error) => errors.push(error.message))
  }
  const server = createServer(socket => {
    const client = aedes.handle(socket)
    onClient?.(client, socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    ...{ aedes, port, errors },
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      await new Promise<void>(resolve => aedes.close(() => resolve()))
      await closed
    },
  }
}
