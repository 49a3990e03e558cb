// One question to a broker, without a client library: a Metadata request, version 2, the oldest
// that names the cluster (https://kafka.apache.org/protocol#The_Messages_Metadata).
import { connect } from 'node:net'

const metadataApi = 3
const metadataVersion = 2
const answerMaxBytes = 1_000_000

export type ClusterMetadata = {
  clusterId: string | null
  controllerId: number
  brokerIds: number[]
}

/**
 * Promise: what the broker on this port of 127.0.0.1 says about its cluster. Rejects when nobody
 * listens, the answer is not Kafka's, or it takes longer than timeoutMs.
 */
export function fetchClusterMetadata(port: number, timeoutMs = 1000): Promise<ClusterMetadata> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let received = Buffer.alloc(0)
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer from the broker')))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed')))
    socket.once('connect', () => socket.write(metadataRequest()))
    socket.on('data', data => {
      received = Buffer.concat([received, data])
      if (received.length < 4) return
      const length = received.readInt32BE(0)
      if (length < 0 || length > answerMaxBytes) return socket.destroy(new Error('not a Kafka'))
      if (received.length < 4 + length) return
      try {
        resolve(parseClusterMetadata(received.subarray(4, 4 + length)))
      } catch (cause) {
        reject(new Error('not a Kafka', { cause }))
      }
      socket.destroy()
    })
  })
}

/** Reads the answer, without its length field. Throws a RangeError when it ends too early. */
export function parseClusterMetadata(answer: Buffer): ClusterMetadata {
  let at = 4 // behind the correlation id
  const int32 = () => {
    at += 4
    return answer.readInt32BE(at - 4)
  }
  const text = () => {
    const length = answer.readInt16BE(at)
    at += 2 + Math.max(length, 0)
    return length < 0 ? null : answer.toString('utf8', at - length, at)
  }
  const brokerIds: number[] = []
  for (let left = int32(); left > 0; left--) {
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
  request.writeInt16BE(metadataApi, 4)
  request.writeInt16BE(metadataVersion, 6)
  request.writeInt32BE(1, 8) // correlation id
  request.writeInt16BE(-1, 12) // no client id
  request.writeInt32BE(0, 14) // no topics
  return request
}
