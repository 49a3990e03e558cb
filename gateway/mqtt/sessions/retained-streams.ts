import { Readable } from 'node:stream'
import type { Client, SessionPacket } from '../aedes-internals.ts'

export type RetainedStreamsOptions = {
  /** Finds the retained messages that match one of the topic filters. */
  find(filters: string[]): Promise<SessionPacket[]>
  /** Stops reading from a client until the returned function is called. */
  holdReads(client: Client): () => void
}

/**
 * Streams the retained messages for each SUBSCRIBE packet. A client gets them for one SUBSCRIBE
 * after the other, and its further packets stay unread meanwhile: each list of found messages needs
 * memory until its last message is sent.
 */
export function createRetainedStreams({ find, holdReads }: RetainedStreamsOptions) {
  const lastOf = new WeakMap<Client, Promise<void>>()
  /** The client whose SUBSCRIBE is being answered; aedes asks for retained messages next. */
  let subscriber: Client | null = null
  /** Ends early when the client is no longer connected. */
  async function* streamTo(
    client: Pick<Client, 'connected'>,
    filters: string[],
    last?: Promise<void>,
  ): AsyncGenerator<SessionPacket> {
    await last
    for (const packet of client.connected ? await find(filters) : []) {
      if (!client.connected) return
      yield packet
    }
  }
  return {
    /** To be called when aedes reports SUBSCRIBE, before it asks for retained messages. */
    onSubscribed(client: Client): void {
      subscriber = client
    },
    /** The messages for the client of the last `onSubscribed`. */
    open(filters: string[]): Readable {
      const client = subscriber
      subscriber = null
      if (!client) return Readable.from(streamTo({ connected: true }, filters))
      const release = holdReads(client)
      const stream = Readable.from(streamTo(client, filters, lastOf.get(client)))
      const ended = new Promise<void>(resolve => stream.once('close', resolve))
      lastOf.set(client, ended)
      ended.then(release)
      return stream
    },
  }
}
