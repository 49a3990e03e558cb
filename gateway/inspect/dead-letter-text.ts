import { byteLines, countText, printable, timeText } from '../../config/process/text-format.ts'
import type { StoredDeadLetter } from '../store/notes/dead-letters.ts'

/**
 * Formats a dead letter as one line: number, time, topic, reason, place, size, and the state unless
 * it is open.
 */
export function deadLetterLine(letter: StoredDeadLetter): string {
  const head = `#${letter.number}  ${timeText(letter.at)}`
  if ('damaged' in letter) return `${head}  cannot be read: ${letter.damaged}${stateSuffix(letter)}`
  const { topic } = letter
  const size = sizeText(letter)
  return `${head}  ${printable(topic)}  ${reasonText(letter)}  ${size}${stateSuffix(letter)}`
}

/**
 * Formats a dead letter with all fields, and its payload as text and in hex, escaped for a
 * terminal.
 */
export function deadLetterPage(letter: StoredDeadLetter): string[] {
  const facts = [
    `number    #${letter.number}`,
    `id        ${letter.id}`,
    `received  ${timeText(letter.at)}`,
    `state     ${stateText(letter)}`,
  ]
  if ('damaged' in letter) return [...facts, `it cannot be read: ${letter.damaged}`]
  const { topic, reason, place, clock, payload } = letter
  const fields = [
    ...facts,
    `clock     ${clock}`,
    `topic     ${printable(topic)}`,
    `reason    ${printable(reason)}`,
    `place     ${printable(place)}`,
    `size      ${sizeText(letter)}`,
  ]
  if (payload === null) return [...fields, 'its bytes were deleted: nothing to show or to decode']
  return [...fields, ...byteLines(payload)]
}

/**
 * Formats a dead letter as one JSON object with its payload in base64. Scripts rely on the field
 * names.
 */
export function deadLetterJson(letter: StoredDeadLetter): string {
  if ('damaged' in letter) return JSON.stringify(letter)
  if (letter.payload === null) {
    const { droppedAt: letGoAt, ...rest } = letter
    return JSON.stringify({ ...rest, letGoAt })
  }
  const { payload, ...rest } = letter
  return JSON.stringify({ ...rest, size: payload.length, payload: payload.toString('base64') })
}

function sizeText(letter: Exclude<StoredDeadLetter, { damaged: string }>): string {
  if (letter.payload !== null) return countText(letter.payload.length, 'byte')
  return `${countText(letter.size, 'byte')}, deleted at ${letter.droppedAt}`
}

function reasonText({ reason, place }: { reason: string; place: string }): string {
  return place === '' ? printable(reason) : `${printable(reason)} (at ${printable(place)})`
}

function stateText(letter: StoredDeadLetter): string {
  if (letter.state === 'retried') return `retried: event #${letter.sequence}`
  const uncertain = 'uncertain: a damaged note may say that it was retried or dropped'
  return letter.state === 'uncertain' ? uncertain : letter.state
}

const stateSuffix = (letter: StoredDeadLetter) =>
  letter.state === 'open' ? '' : `  ${stateText(letter)}`
