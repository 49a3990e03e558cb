import type { Aedes, Client } from './aedes-internals.ts'
import type { ConnectionFaults } from './bounds/connection-faults.ts'

export type BrokerErrorOptions = {
  /**
   * Called when a fault ended a connection: a malformed or too large packet, a timeout, or a reset.
   */
  onConnectionBroken(clientId: string | null, reason: string): void
  /** Remembers the clients that break their connections by a fault of their own. */
  faults: ConnectionFaults
  /** Called when the broker or its server reports an error that ends nothing. */
  onError(error: Error): void
}

/** Listens to every error that aedes reports, because an `error` event without listener throws. */
export function reportErrors(aedes: Aedes, options: BrokerErrorOptions): void {
  const { faults, onConnectionBroken, onError } = options
  const reported = new WeakSet<object>()
  const onClientError = (client: Client | null, error: Error) => {
    onConnectionBroken(client?.id ?? null, error.message)
    // aedes may report several errors of one connection.
    if (!client?.id || reported.has(client)) return
    reported.add(client)
    faults.record(client.id, error)
  }
  aedes.on('clientError', onClientError)
  aedes.on('connectionError', onClientError)
  aedes.on('error' as never, onError as never)
}
