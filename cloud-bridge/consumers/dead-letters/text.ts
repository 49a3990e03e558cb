import { amount, byteLines, momentText, printable } from '../../../config/process/text-format.ts'
import type { CloudLetter } from './dead-letter-topic.ts'

/** A dead letter on one line: id, time, where it is from, reason, size, what became of it. */
export function letterLine(letter: CloudLetter): string {
  const { id, at, bytes, state } = letter
  const size = bytes === null ? 'no bytes left' : amount(bytes.length, 'byte')
  const parts = [printable(id), momentText(at), whereFrom(letter), printable(letter.letter.reason)]
  return [...parts, size, ...(state === 'open' ? [] : [state])].join('  ')
}

/** All of a dead letter, its bytes as text and in hex. */
export function letterPage(letter: CloudLetter): string[] {
  const { id, at, state, bytes } = letter
  const facts = [
    `id         ${printable(id)}`,
    `buried     ${momentText(at)}`,
    `state      ${state}`,
  ]
  const lines = [...facts, ...ownLines(letter), `reason     ${printable(letter.letter.reason)}`]
  if (bytes === null) return [...lines, 'there is nothing left to show or to send again']
  return [...lines, `size       ${amount(bytes.length, 'byte')}`, ...byteLines(bytes)]
}

/** A dead letter as one JSON object; its bytes are in base64. */
export function letterJson({ bytes, letter, ...rest }: CloudLetter): string {
  const size = bytes?.length ?? null
  const value = bytes?.toString('base64') ?? null
  return JSON.stringify({ ...letter, ...rest, size, value })
}

function whereFrom(letter: CloudLetter): string {
  if (letter.from === 'gateway') {
    return `${printable(letter.letter.gateway)} ${printable(letter.letter.topic)}`
  }
  const { attempts } = letter.letter
  return `${printable(letter.letter.consumer)}, ${amount(attempts, 'attempt')}`
}

function ownLines(letter: CloudLetter): string[] {
  if (letter.from === 'gateway') {
    const { gateway, store, sequence, topic, place } = letter.letter
    return [
      `gateway    ${printable(gateway)}, letter #${sequence} of outbox ${printable(store)}`,
      `topic      ${printable(topic)}`,
      `place      ${printable(place)}`,
    ]
  }
  const { consumer, topic, partition, offset, attempts, heardAt, key } = letter.letter
  return [
    `consumer   ${printable(consumer)}`,
    `record     ${printable(topic)}, partition ${partition}, offset ${offset}`,
    `heard      ${momentText(heardAt)}`,
    `attempts   ${attempts}`,
    `key        ${key === null ? 'none' : printable(key)}`,
  ]
}
