import kafkajs from 'kafkajs'
import { expect, it } from 'vitest'
import {
  causesOf,
  isProducerInvalid,
  permanentRejection,
  describeError as say,
} from '../../../cloud-bridge/kafka/errors.ts'

const { KafkaJSConnectionError, KafkaJSNonRetriableError, KafkaJSProtocolError } = kafkajs

const refused = (code: number, message = `broker code ${code}`) =>
  new KafkaJSProtocolError(Object.assign(new Error(message), { code, retriable: false, type: 'T' }))
const wrapped = (cause: Error) => Object.assign(new KafkaJSNonRetriableError(cause), { cause })

it('finds every cause, by whatever name it is kept, the outermost first', () => {
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
  [87, 'INVALID_RECORD'],
])('code %i is a refusal for good, however deep it is', (code, name) => {
  expect(permanentRejection(refused(code))).toBe(name)
  expect(permanentRejection(wrapped(wrapped(refused(code))))).toBe(name)
})

// Anything that is not known to be a refusal may pass, so the batch is sent again.
it.each([-1, 1, 3, 6, 7, 19, 29, 32, 45, 58, 72])('code %i is none', code => {
  expect(permanentRejection(wrapped(refused(code)))).toBeNull()
})

it('a client that gives up, or cannot connect, is no refusal', () => {
  const down = new KafkaJSConnectionError('connect ECONNREFUSED', { code: 'ECONNREFUSED' })
  expect(permanentRejection(wrapped(down))).toBeNull()
  expect(permanentRejection(Object.assign(new Error('text'), { code: '10' }))).toBeNull()
  expect(permanentRejection(undefined)).toBeNull()
})

it('a producer is lost when the broker does not know its numbers any more', () => {
  for (const code of [45, 47, 59]) expect(isProducerInvalid(wrapped(refused(code)))).toBe(true)
  for (const code of [6, 10, 19]) expect(isProducerInvalid(wrapped(refused(code)))).toBe(false)
  expect(isProducerInvalid(new Error('socket closed'))).toBe(false)
})

it('says the outermost reason and the innermost, if that says more', () => {
  expect(say(new Error('gave up', { cause: new Error('no route') }))).toBe('gave up (no route)')
  expect(say(wrapped(refused(3, 'no such topic')))).toBe('no such topic')
  expect(say('only a text')).toBe('only a text')
})

it('says what is wrong, where, and which key to look at, by whatever library it comes', () => {
  const expired = { code: 'CERT_HAS_EXPIRED' }
  const renew = "the broker's certificate has expired: renew it there, or set the clock here"
  const kafkajsError = new KafkaJSConnectionError('text', { ...expired, broker: 'kafka-1:9093' })
  expect(say(wrapped(kafkajsError))).toBe(`kafka-1:9093: ${renew}`)
  const cause = Object.assign(new Error('certificate has expired'), expired)
  const failed = new Error('Connection to kafka-2:9093 failed.', { cause })
  expect(say(new AggregateError([failed], 'Cannot connect to any broker.'))).toBe(
    `kafka-2:9093: ${renew}`,
  )
  expect(say(Object.assign(new Error('text'), { apiCode: 58 }))).toContain('kafka.sasl.username')
  expect(say(wrapped(refused(29)))).toContain('docs/security.md')
})

it('takes the cause for the reason, not the closing of the connection that comes of it', () => {
  const closed = new Error('Connection closed')
  const refusedCertificate = Object.assign(new Error('alert'), {
    code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  })
  expect(say(new AggregateError([closed, refusedCertificate], 'text'))).toContain('certFile')
  expect(say(closed)).toContain('kafka.tls or kafka.sasl')
})
