import { createServer } from 'node:net'

const LOWEST = 20_000
const HIGHEST = 32_000
const ATTEMPTS = 100
/**
 * Ports that this process has tried. A port stays in the set, because the caller that got the port
 * may not listen on it yet.
 */
const tried = new Set<number>()

/** Whether a server can listen on this port of 127.0.0.1 now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/**
 * Returns a free port of 127.0.0.1, below the range from which the kernel assigns ports to outgoing
 * connections. The kernel could assign a port of that range (listening on port 0 gives such a port)
 * to a client that reconnects to a stopped broker; the client would then occupy the broker's own
 * port. Returns each port at most once per process. Rejects when 100 random ports were all in use.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    if (tried.has(port)) continue
    tried.add(port)
    if (await isPortFree(port)) return port
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}: all ${ATTEMPTS} tried are in use`)
}
