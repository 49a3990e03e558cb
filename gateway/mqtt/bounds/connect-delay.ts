import type { MqttConnection } from './mqtt-connection.ts'

/**
 * Delays the CONNECT of clients. While a CONNECT waits, its connection is not read, so that the
 * client cannot fill memory. Only the newest CONNECT of a client waits: an earlier connection that
 * still waits is closed.
 */
export function createConnectDelay({
  holdReads,
  releaseReads,
}: {
  holdReads(connection: MqttConnection): void
  releaseReads(connection: MqttConnection): void
}) {
  const waiting = new Map<string, MqttConnection>()
  return {
    /** Calls `proceed` after `delayMs`, unless the connection was closed meanwhile. */
    delay(client: string, connection: MqttConnection, delayMs: number, proceed: () => void): void {
      waiting.get(client)?.socket.destroy()
      waiting.set(client, connection)
      holdReads(connection)
      const end = () => {
        clearTimeout(timer)
        if (waiting.get(client) === connection) waiting.delete(client)
      }
      const timer = setTimeout(() => {
        connection.socket.off('close', end)
        end()
        releaseReads(connection)
        proceed()
      }, delayMs)
      connection.socket.once('close', end)
    },
  }
}
