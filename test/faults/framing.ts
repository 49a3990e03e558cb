/**
 * A request or response as Kafka frames it: the size in four bytes, followed by that many bytes.
 */
export type Frame = {
  /** The api key of the request (https://kafka.apache.org/protocol#protocol_api_keys). */
  api: number
  version: number
  correlationId: number
  bytes: Buffer
}

/** The api keys that tests use. */
export const apiKeys = { produce: 0, fetch: 1, metadata: 3, initProducerId: 22 }

/** Splits a byte stream, in chunks of any size, into frames; returns the complete frames. */
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

/** Reads the headers of one connection; matches responses to requests by correlation id. */
export function createFrameReader() {
  const requests = new Map<number, Omit<Frame, 'bytes'>>()
  return {
    request(bytes: Buffer): Frame {
      const [api, version] = [bytes.readInt16BE(4), bytes.readInt16BE(6)]
      const correlationId = bytes.readInt32BE(8)
      requests.set(correlationId, { api, version, correlationId })
      return { api, version, correlationId, bytes }
    },
    response(bytes: Buffer): Frame {
      const correlationId = bytes.readInt32BE(4)
      const request = requests.get(correlationId)
      requests.delete(correlationId)
      return { api: -1, version: -1, correlationId, ...request, bytes }
    },
  }
}
