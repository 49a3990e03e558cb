import { byteLines, countText, printable, timeText } from '../../config/process/text-format.ts'
import type { StoredDeadLetter } from '../store/notes/dead-letters.ts'

/** A dead letter on one line: number, time, topic, reason, place, size, what became of it. */
export function deadLetterLine(letter: StoredDeadLetter): string {
  const head = `#${letter.number}  ${timeText(letter.at)}`
  if ('damaged' in letter) return `${head}  cannot be read: ${letter.damaged}${ending(letter)}`
  const { topic } = letter
  const size = sizeText(letter)
  return `${head}  ${printable(topic)}  ${reasonText(letter)}  ${size}${ending(letter)}`
}

/** All of a dead letter, its bytes as text and in hex, as lines that are safe on a terminal. */
export function deadLetterPage(letter: StoredDeadLetter): string[] {
  const facts = [
    `number    #${letter.number}`,
    `received  ${timeText(letter.at)}`,
    `state     ${stateText(letter)}`,
  ]
  if ('damaged' in letter) return [...facts, `it cannot be read: ${letter.damaged}`]
  const { topic, reason, place, clock, payload } = letter
  const known = [
    ...facts,
    `clock     ${clock}`,
    `topic     ${printable(topic)}`,
    `reason    ${printable(reason)}`,
    `place     ${printable(place)}`,
    `size      ${sizeText(letter)}`,
  ]
  if (payload === null) return [...known, 'there is nothing left to show or to decode again']
  return [...known, ...byteLines(payload)]
}

/** A dead letter as one JSON object; its bytes are in base64. */
export function deadLetterJson(letter: StoredDeadLetter): string {
  if ('damaged' in letter || letter.payload === null) return JSON.stringify(letter)
  const { payload, ...rest } = letter
  return JSON.stringify({ ...rest, size: payload.length, payload: payload.toString('base64') })
}

function sizeText(letter: Exclude<StoredDeadLetter, { damaged: string }>): string {
  if (letter.payload !== null) return countText(letter.payload.length, 'byte')
  return `${countText(letter.size, 'byte')}, let go at ${letter.droppedAt}`
}

function reasonText({ reason, place }: { reason: string; place: string }): string {
  return place === '' ? printable(reason) : `${printable(reason)} (at ${printable(place)})`
}

function stateText(letter: StoredDeadLetter): string {
  if (letter.state === 'retried') return `retried: event #${letter.sequence}`
  const uncertain = 'uncertain: a damaged note may say that it was retried or dropped'
  return letter.state === 'uncertain' ? uncertain : letter.state
}

const ending = (letter: StoredDeadLetter) =>
  letter.state === 'open' ? '' : `  ${stateText(letter)}`
