import { createServer } from 'node:net'

const lowest = 20_000
const highest = 32_000
const attempts = 100
/** Tried before by this process: what is to be listened on may not be listened on yet. */
const tried = new Set<number>()

/** Promise: whether this port of 127.0.0.1 can be listened on now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Promise: a free port of 127.0.0.1 below the range from which the kernel takes the ports of
 * outgoing connections. From that range (which is where listening on port 0 leads) a client that
 * reconnects to a broker that is down can be given the broker's own port, and then holds it. A
 * process is given each port once. Rejects when 100 random ports were all taken.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (tried.has(port)) continue
    tried.add(port)
    if (await isPortFree(port)) return port
  }
  throw new Error(`no free port between ${lowest} and ${highest}`)
}
