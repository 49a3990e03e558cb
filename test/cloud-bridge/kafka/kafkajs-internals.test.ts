import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import {
  groupedMessages,
  isRetriable,
  timedOutBroker,
} from '../../../cloud-bridge/kafka/kafkajs/internals.ts'
import { record } from '../../contracts/event-sink.ts'

const requireKafkajs = createRequire(import.meta.resolve('kafkajs'))

it('groups messages by their own reduce, without a partitioner', () => {
  const groupMessagesPerPartition = requireKafkajs('./src/producer/groupMessagesPerPartition')
  const groups = [[record(3, 'a'), record(3, 'b')], [record(0, 'c')]]
  const messages = groupedMessages(groups)
  expect([...messages]).toEqual(groups.flat())
  const partitioner = () => expect.fail('the partitions are decided')
  const call = { topic: 't', partitionMetadata: [{}], messages, partitioner }
  expect(groupMessagesPerPartition(call)).toEqual({ 3: groups[0], 0: groups[1] })
})

it('names the broker whose response did not come in time', () => {
  const SocketRequest = requireKafkajs('./src/network/requestQueue/socketRequest')
  const failures: Error[] = []
  const request = new SocketRequest({
    ...{ requestTimeout: 1, broker: 'kafka-1:9092', expectResponse: true },
    ...{ send: () => {}, timeout: () => {} },
    entry: { reject: (error: Error) => failures.push(error), correlationId: 1, apiName: 'Produce' },
  })
  request.send()
  request.timeoutRequest()
  expect(failures.map(timedOutBroker)).toEqual(['kafka-1:9092'])
  expect(timedOutBroker(new Error('another'))).toBeNull()
})

it('marks errors that may pass as retriable', () => {
  const { createErrorFromCode } = requireKafkajs('./src/protocol/error')
  const [notLeader, notAuthorized] = [6, 29].map(createErrorFromCode)
  expect([notLeader, notAuthorized].map(isRetriable)).toEqual([true, false])
})
