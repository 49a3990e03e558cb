import { byteLines, countText, printable, timeText } from '../../../config/process/text-format.ts'
import type { TopicDeadLetter } from './dead-letter-topic.ts'

/** A dead letter on one line: id, time, source, reason, size, and its state unless open. */
export function deadLetterLine(letter: TopicDeadLetter): string {
  const { id, at, bytes, state } = letter
  const size = bytes === null ? 'bytes deleted' : countText(bytes.length, 'byte')
  const parts = [printable(id), timeText(at), sourceText(letter), printable(letter.detail.reason)]
  return [...parts, size, ...(state === 'open' ? [] : [state])].join('  ')
}

/** A dead letter with all fields and its bytes as text and in hex, escaped for a terminal. */
export function deadLetterPage(letter: TopicDeadLetter): string[] {
  const { id, at, state, bytes } = letter
  const facts = [`id         ${printable(id)}`, `created    ${timeText(at)}`, `state      ${state}`]
  const lines = [...facts, ...sourceLines(letter), `reason     ${printable(letter.detail.reason)}`]
  if (bytes === null) return [...lines, 'its bytes were deleted: nothing to show or to send']
  return [...lines, `size       ${countText(bytes.length, 'byte')}`, ...byteLines(bytes)]
}

/** A dead letter as one JSON object; its bytes are in base64. Scripts rely on the field names. */
export function deadLetterJson({ bytes, detail, ...rest }: TopicDeadLetter): string {
  const size = bytes?.length ?? null
  const value = bytes?.toString('base64') ?? null
  return JSON.stringify({ ...detail, ...rest, size, value })
}

function sourceText(letter: TopicDeadLetter): string {
  if (letter.from === 'gateway') {
    return `${printable(letter.detail.gateway)} ${printable(letter.detail.topic)}`
  }
  const { attempts } = letter.detail
  return `${printable(letter.detail.consumer)}, ${countText(attempts, 'attempt')}`
}

function sourceLines(letter: TopicDeadLetter): string[] {
  if (letter.from === 'gateway') {
    const { gateway, store, sequence, topic, place } = letter.detail
    return [
      `gateway    ${printable(gateway)}, dead letter #${sequence} of outbox ${printable(store)}`,
      `topic      ${printable(topic)}`,
      `place      ${printable(place)}`,
    ]
  }
  const { consumer, topic, partition, offset, attempts, heardAt, key } = letter.detail
  return [
    `consumer   ${printable(consumer)}`,
    `record     ${printable(topic)}, partition ${partition}, offset ${offset}`,
    `appended   ${timeText(heardAt)}`,
    `attempts   ${attempts}`,
    `key        ${key === null ? 'none' : printable(key)}`,
  ]
}
