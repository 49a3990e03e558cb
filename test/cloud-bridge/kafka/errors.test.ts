import kafkajs from 'kafkajs'
import { expect, it } from 'vitest'
import {
  causesOf,
  describeError,
  isProducerInvalid,
  permanentRejection,
} from '../../../cloud-bridge/kafka/errors.ts'

const { KafkaJSConnectionError, KafkaJSNonRetriableError, KafkaJSProtocolError } = kafkajs

const brokerError = (code: number, message = `broker code ${code}`) =>
  new KafkaJSProtocolError(Object.assign(new Error(message), { code, retriable: false, type: 'T' }))
const wrapped = (cause: Error) => Object.assign(new KafkaJSNonRetriableError(cause), { cause })

it('finds every cause, in any property, outermost first', () => {
  const inner = new Error('inner')
  const original = Object.assign(new Error('original'), { originalError: inner })
  const outer = new AggregateError([original, new Error('another')], 'outer', { cause: inner })
  expect(causesOf(outer).map(({ message }) => message)).toEqual([
    'outer',
    'inner',
    'original',
    'inner',
    'another',
  ])
  expect(causesOf('no error')).toEqual([])
})

it('survives an error that is its own cause', () => {
  const error = new Error('own cause')
  error.cause = error
  expect(causesOf(error)).toEqual([error])
})

it.each([
  [10, 'MESSAGE_TOO_LARGE'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [87, 'INVALID_RECORD'],
])('code %i is a permanent rejection at any depth', (code, name) => {
  expect(permanentRejection(brokerError(code))).toBe(name)
  expect(permanentRejection(wrapped(wrapped(brokerError(code))))).toBe(name)
})

// Every other error may be temporary, so the batch is sent again.
it.each([-1, 1, 3, 6, 7, 19, 29, 32, 45, 58, 72])('code %i is no permanent rejection', code => {
  expect(permanentRejection(wrapped(brokerError(code)))).toBeNull()
})

it('a failed connection is no permanent rejection', () => {
  const down = new KafkaJSConnectionError('connect ECONNREFUSED', { code: 'ECONNREFUSED' })
  expect(permanentRejection(wrapped(down))).toBeNull()
  expect(permanentRejection(Object.assign(new Error('text'), { code: '10' }))).toBeNull()
  expect(permanentRejection(undefined)).toBeNull()
})

it('a producer is invalid when the broker does not know its id or sequences any more', () => {
  for (const code of [45, 47, 59]) expect(isProducerInvalid(wrapped(brokerError(code)))).toBe(true)
  for (const code of [6, 10, 19]) expect(isProducerInvalid(wrapped(brokerError(code)))).toBe(false)
  expect(isProducerInvalid(new Error('socket closed'))).toBe(false)
})

it('describes the outermost error, and the innermost if that adds something', () => {
  expect(describeError(new Error('gave up', { cause: new Error('no route') }))).toBe(
    'gave up (no route)',
  )
  expect(describeError(wrapped(brokerError(3, 'no such topic')))).toBe('no such topic')
  expect(describeError('only a text')).toBe('only a text')
})

it('describes the reason, the broker and the configuration key, for both client libraries', () => {
  const expired = { code: 'CERT_HAS_EXPIRED' }
  const renew = "the broker's certificate has expired: renew it there, or set the clock here"
  const kafkajsError = new KafkaJSConnectionError('text', { ...expired, broker: 'kafka-1:9093' })
  expect(describeError(wrapped(kafkajsError))).toBe(`kafka-1:9093: ${renew}`)
  const cause = Object.assign(new Error('certificate has expired'), expired)
  const failed = new Error('Connection to kafka-2:9093 failed.', { cause })
  expect(describeError(new AggregateError([failed], 'Cannot connect to any broker.'))).toBe(
    `kafka-2:9093: ${renew}`,
  )
  expect(describeError(Object.assign(new Error('text'), { apiCode: 58 }))).toContain(
    'kafka.sasl.username',
  )
  expect(describeError(wrapped(brokerError(29)))).toContain('docs/security.md')
})

it('describes the cause of a closed connection, if that is known', () => {
  const closed = new Error('Connection closed')
  const refusedCertificate = Object.assign(new Error('alert'), {
    code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  })
  expect(describeError(new AggregateError([closed, refusedCertificate], 'text'))).toContain(
    'certFile',
  )
  expect(describeError(closed)).toContain('kafka.tls or kafka.sasl')
})

it.each([
  ['ENOTFOUND', 'cannot be resolved'],
  ['ECONNREFUSED', 'connection refused'],
  ['EHOSTUNREACH', 'no route'],
  ['ETIMEDOUT', 'no answer in time'],
])(
  'names advertised.listeners and both addresses when Kafka names an address: %s',
  (code, text) => {
    const kafkajsError = new KafkaJSConnectionError('text', { code, broker: 'kafka-1:9092' })
    const cause = Object.assign(new Error('text'), { code })
    const failed = new Error('Connection to kafka-1:9092 failed.', { cause })
    for (const error of [wrapped(kafkajsError), new AggregateError([failed], 'text')]) {
      const reason = describeError(error, ['10.0.0.5:9092'])
      expect(reason).toMatch(/^kafka-1:9092: .* 10\.0\.0\.5:9092 .*advertised\.listeners/)
      expect(reason).toContain(text)
      expect(describeError(error, ['kafka-1:9092'])).not.toContain('advertised')
    }
  },
)

it('says that a refused time is about a clock', () => {
  expect(describeError(wrapped(brokerError(32)))).toContain('set the clock of this machine')
})
