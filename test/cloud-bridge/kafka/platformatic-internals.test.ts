import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { createRecordsBatch, fetchV11, Reader, ResponseError } from '@platformatic/kafka'
import { beforeEach, describe, expect, it } from 'vitest'
import { causesOf } from '../../../cloud-bridge/kafka/errors.ts'
import {
  type Connection,
  ConnectionPool,
  closePool,
  connectionError,
  isRetriable,
  NetworkError,
  NumericMap,
  ProtocolError,
  protocol,
  responseIn,
  useZstd,
} from '../../../cloud-bridge/kafka/platformatic/internals.ts'

const message = () => ({
  ...{ topic: 't', partition: 3, key: Buffer.from('k'), value: Buffer.from('v') },
  timestamp: 1n,
})

it('has the requests in the versions that this program uses', () => {
  const versions = Object.entries(protocol).map(([name, { key, version }]) => [name, key, version])
  expect(versions).toEqual([
    ['describeConfigs', 32, 4],
    ['fetch', 1, 11],
    ['findCoordinator', 10, 3],
    ['heartbeat', 12, 4],
    ['initProducerId', 22, 4],
    ['joinGroup', 11, 7],
    ['leaveGroup', 13, 4],
    ['listOffsets', 2, 5],
    ['metadata', 3, 9],
    ['offsetCommit', 8, 8],
    ['produce', 0, 8],
    ['syncGroup', 14, 5],
  ])
})

it('writes the topic id of a fetch as the name of the topic', () => {
  const partition = { partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 }
  const epochs = { currentLeaderEpoch: -1, lastFetchedEpoch: -1 }
  const topics = [{ topicId: 'readings', partitions: [{ ...partition, ...epochs }] }]
  const request = fetchV11.createRequest(1, 1, 1, 0, 0, -1, topics, [], '')
  expect(request.buffer.toString('latin1')).toContain('\0\breadings')
})

it('reads the sequence of a batch by topic and partition, and leaves it as it is', () => {
  const sequences = new NumericMap()
  sequences.set('t:3', 258)
  const options = { producerId: 5n, producerEpoch: 2, sequences }
  const batch = createRecordsBatch([message()], options).buffer
  // https://kafka.apache.org/documentation/#recordbatch
  expect(batch.readBigInt64BE(43)).toBe(5n)
  expect(batch.readInt16BE(51)).toBe(2)
  expect(batch.readInt32BE(53)).toBe(258)
  expect(sequences.get('t:3')).toBe(258)
})

it('compresses batches by the function that takes the place of its own', async () => {
  const { compressZstd } = await import('../../../cloud-bridge/kafka/zstd.ts')
  const plain: Buffer[] = []
  useZstd(bytes => {
    plain.push(bytes)
    return compressZstd(bytes)
  })
  const batch = createRecordsBatch([message()], { compression: 'zstd' })
  useZstd(compressZstd)
  expect(plain.map(bytes => bytes.includes('v'))).toEqual([true])
  expect(batch.buffer.readInt16BE(21) & 7).toBe(4)
})

it('throws a response with an error code, and the response is in the error', () => {
  const response = { topics: [] }
  const error = new ResponseError(1, 11, { '/topics/0': [3, null] }, response)
  expect(responseIn(error)).toBe(response)
  expect(responseIn(new ProtocolError(3))).toBeNull()
  const notFound = Buffer.alloc(14)
  notFound.writeInt16BE(3, 4)
  const parse = () => fetchV11.parseResponse(0, 1, 11, Reader.from(notFound))
  expect(parse).toThrow(ResponseError)
})

it('says of its errors whether a retry may succeed', () => {
  // NOT_LEADER_OR_FOLLOWER and TOPIC_AUTHORIZATION_FAILED
  expect([6, 29].map(code => isRetriable(new ProtocolError(code)))).toEqual([true, false])
  const cause = new Error('reset')
  const failed = connectionError({ host: 'h', port: 1 }, cause)
  expect(failed).toBeInstanceOf(NetworkError)
  expect(isRetriable(failed)).toBe(true)
  expect(causesOf(failed)).toEqual([failed, cause])
})

describe('a connection', () => {
  let server: Server
  let pool: ConnectionPool
  const broker = () => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  beforeEach(async () => {
    server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    pool = new ConnectionPool('test', { requestTimeout: 60_000 })
    return async () => {
      await closePool(pool)
      server.close()
    }
  })
  const request = (connection: Connection) => protocol.metadata.async(connection, [], false)

  it('emits why it broke, and rejects its requests with a NetworkError', async () => {
    server.on('connection', socket => socket.once('data', () => socket.resetAndDestroy()))
    const connection = await pool.get(broker())
    const emitted: Error[] = []
    connection.on('error', error => emitted.push(error))
    await expect(request(connection)).rejects.toThrow(NetworkError)
    expect(emitted.flatMap(causesOf).map(error => (error as NodeJS.ErrnoException).code)).toContain(
      'ECONNRESET',
    )
  })

  it('says at which broker a connect failed, and why', async () => {
    const { host, port } = broker()
    server.close()
    const failure = await pool.get({ host, port }).catch((error: Error) => error)
    const expected = connectionError({ host, port }, new Error())
    expect(causesOf(failure).map(error => error.message)).toContain(expected.message)
    expect(causesOf(failure)).toContainEqual(expect.objectContaining({ code: 'ECONNREFUSED' }))
  })

  it('is closed at once, also while a broker reads nothing', async () => {
    const connection = await pool.get(broker())
    const pending = request(connection).catch((error: Error) => error)
    await closePool(pool)
    expect(await pending).toBeInstanceOf(NetworkError)
    expect([...pool]).toEqual([])
  })
})
