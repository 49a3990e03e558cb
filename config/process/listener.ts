import type { Server } from 'node:net'
import { CannotStart } from './lifetime.ts'

const CURES: Record<string, string> = {
  EADDRINUSE:
    'another process listens there. See which one it is (ss -ltnp), or choose another port',
  EADDRNOTAVAIL: 'this machine does not have that address. Choose an address of this machine',
  ENOTFOUND: 'this host name has no address. Write an IP address, such as 127.0.0.1',
  EAI_AGAIN: 'this host name cannot be looked up now. Write an IP address, such as 127.0.0.1',
  EACCES: 'this user may not listen there. Choose a port above 1023',
}

/**
 * Listens on host and port. `key` is the configuration key of the address. Rejects with
 * CannotStart, which names key, address and cure, when listening fails.
 */
export function listen(
  server: Server,
  key: string,
  { host, port }: { host: string; port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = CURES[error.code ?? ''] ?? error.message
      reject(new CannotStart(`${key} = ${host}:${port}: ${reason}`, { cause: error }))
    })
    server.listen({ host, port, backlog: 1024 }, resolve)
  })
}
