// A Metadata request to a broker without a client library. Version 2 is the oldest version whose
// response has the cluster id (https://kafka.apache.org/protocol#The_Messages_Metadata).
import { connect } from 'node:net'

const METADATA_API = 3
const METADATA_VERSION = 2
const RESPONSE_MAX_BYTES = 1_000_000

export type ClusterMetadata = {
  clusterId: string | null
  controllerId: number
  brokerIds: number[]
}

/**
 * Fetches the cluster metadata from the broker on this port of 127.0.0.1. Rejects when no process
 * listens, when the response is not Kafka's, or after timeoutMs without a response.
 */
export function fetchClusterMetadata(port: number, timeoutMs = 1000): Promise<ClusterMetadata> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = Buffer.alloc(0)
    const silent = `no response on port ${port} within ${timeoutMs} ms`
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(silent)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`port ${port} closed the connection early`)))
    const foreign = `the response on port ${port} is not a Kafka broker's`
    socket.once('connect', () => socket.write(metadataRequest()))
    socket.on('data', data => {
      received = Buffer.concat([received, data])
      if (received.length < 4) return
      const length = received.readInt32BE(0)
      if (length < 0 || length > RESPONSE_MAX_BYTES) return socket.destroy(new Error(foreign))
      if (received.length < 4 + length) return
      try {
        resolve(parseClusterMetadata(received.subarray(4, 4 + length)))
      } catch (cause) {
        reject(new Error(foreign, { cause }))
      }
      socket.destroy()
    })
  })
}

/**
 * Parses a Metadata response without its length field. Throws a RangeError when the response is
 * truncated.
 */
export function parseClusterMetadata(response: Buffer): ClusterMetadata {
  let at = 4 // after the correlation id
  const int32 = () => {
    at += 4
    return response.readInt32BE(at - 4)
  }
  const text = () => {
    const length = response.readInt16BE(at)
    at += 2 + Math.max(length, 0)
    return length < 0 ? null : response.toString('utf8', at - length, at)
  }
  const brokerIds: number[] = []
  for (let remaining = int32(); remaining > 0; remaining--) {
    brokerIds.push(int32())
    text() // host
    int32() // port
    text() // rack
  }
  const clusterId = text()
  return { clusterId, controllerId: int32(), brokerIds }
}

function metadataRequest(): Buffer {
  const request = Buffer.alloc(18)
  request.writeInt32BE(14, 0) // bytes that follow
  request.writeInt16BE(METADATA_API, 4)
  request.writeInt16BE(METADATA_VERSION, 6)
  request.writeInt32BE(1, 8) // correlation id
  request.writeInt16BE(-1, 12) // no client id
  request.writeInt32BE(0, 14) // no topics
  return request
}
