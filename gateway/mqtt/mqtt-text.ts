import { isUtf8 } from 'node:buffer'

const NUL = 0
const HASH = 35
const PLUS = 43
const SLASH = 47

/**
 * Returns why bytes are no text of MQTT 3.1.1 (section 1.5.3), as the end of a sentence: they are
 * not well-formed UTF-8, or they contain U+0000. Returns null for a text, which may be empty.
 */
export function textFault(bytes: Buffer): string | null {
  if (!isUtf8(bytes)) return 'is not well-formed UTF-8 [MQTT-1.5.3-1]'
  if (bytes.includes(NUL)) return 'contains U+0000 [MQTT-1.5.3-2]'
  return null
}

/** Returns why bytes are no topic name (sections 3.3.2.1 and 4.7), as the end of a sentence. */
export function topicNameFault(bytes: Buffer): string | null {
  if (bytes.length === 0) return 'is empty [MQTT-4.7.3-1]'
  if (isPlainName(bytes)) return null
  const fault = textFault(bytes)
  if (fault !== null) return fault
  // A wildcard is one byte in UTF-8, and no part of another character.
  const hasWildcard = bytes.includes(HASH) || bytes.includes(PLUS)
  return hasWildcard ? 'contains a wildcard [MQTT-3.3.2-2]' : null
}

/** Longer names are checked faster by the functions of Node. */
const PLAIN_MAX_BYTES = 128

/**
 * Whether bytes are a short name of ASCII characters without U+0000 and wildcards, as nearly all
 * topic names are. For such a name, one loop costs less than the calls of four native functions.
 */
function isPlainName(bytes: Buffer): boolean {
  if (bytes.length > PLAIN_MAX_BYTES) return false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === NUL || byte > 127 || byte === HASH || byte === PLUS) return false
  }
  return true
}

/**
 * Returns why bytes are no topic filter (section 4.7), as the end of a sentence: a `+` must be a
 * complete level, and a `#` must be the complete last level.
 */
export function topicFilterFault(bytes: Buffer): string | null {
  if (bytes.length === 0) return 'is empty [MQTT-4.7.3-1]'
  const fault = textFault(bytes)
  if (fault !== null) return fault
  const last = bytes.length - 1
  for (let at = bytes.indexOf(PLUS); at >= 0; at = bytes.indexOf(PLUS, at + 1)) {
    const isLevel = isEdge(bytes, at - 1) && isEdge(bytes, at + 1)
    if (!isLevel) return 'contains a + that is not a complete level [MQTT-4.7.1-3]'
  }
  const hash = bytes.indexOf(HASH)
  const isWrong = hash >= 0 && (hash !== last || !isEdge(bytes, hash - 1))
  return isWrong ? 'contains a # that is not the complete last level [MQTT-4.7.1-2]' : null
}

/** Whether a level ends at this byte: it is a slash, or it is outside the filter. */
const isEdge = (bytes: Buffer, at: number) => bytes[at] === undefined || bytes[at] === SLASH

/**
 * Whether a topic filter matches a topic name (section 4.7). A filter that begins with a wildcard
 * matches no topic that begins with `$`.
 */
export function matchesFilter(filter: string, topic: string): boolean {
  if (filter === topic) return true
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  const levels = topic.split('/')
  const wanted = filter.split('/')
  const isPrefix = wanted.at(-1) === '#'
  const count = isPrefix ? wanted.length - 1 : wanted.length
  if (isPrefix ? levels.length < count : levels.length !== count) return false
  for (let at = 0; at < count; at++) {
    if (wanted[at] !== '+' && wanted[at] !== levels[at]) return false
  }
  return true
}

/**
 * Whether a text contains a control character. Section 1.5.3 advises against them, and some clients
 * end when they receive one.
 */
export const hasControlCharacter = (text: string): boolean => /\p{Cc}/u.test(text)
