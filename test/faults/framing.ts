/** A request or response on its way, as Kafka frames it: four bytes of size, then that many. */
export type Frame = {
  /**
   * Which request it is, or is the answer to (https://kafka.apache.org/protocol#protocol_api_keys).
   */
  api: number
  version: number
  correlationId: number
  bytes: Buffer
}

/** The api keys that tests ask for by name. */
export const apiKeys = { produce: 0, fetch: 1, metadata: 3, initProducerId: 22 }

/** Cuts a stream of bytes into frames, whatever pieces it comes in; gives those now complete. */
export function createFrameSplitter() {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer): Buffer[] => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    const frames: Buffer[] = []
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      frames.push(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
    return frames
  }
}

/** Reads the heads of one connection: an answer says of its request only the correlation id. */
export function createFrameReader() {
  const asked = new Map<number, Omit<Frame, 'bytes'>>()
  return {
    request(bytes: Buffer): Frame {
      const [api, version] = [bytes.readInt16BE(4), bytes.readInt16BE(6)]
      const correlationId = bytes.readInt32BE(8)
      asked.set(correlationId, { api, version, correlationId })
      return { api, version, correlationId, bytes }
    },
    response(bytes: Buffer): Frame {
      const correlationId = bytes.readInt32BE(4)
      const question = asked.get(correlationId)
      asked.delete(correlationId)
      return { api: -1, version: -1, correlationId, ...question, bytes }
    },
  }
}
