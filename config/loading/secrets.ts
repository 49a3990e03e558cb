import { inspect } from 'node:util'
import type { Finding } from './faults.ts'
import { readText } from './file-text.ts'
import { configKeys } from './keys.ts'
import { valueAt } from './nested-values.ts'
import { pemFault } from './pem.ts'

/** A text that only `reveal` returns: printing, logging and JSON show '[secret]'. */
export type Secret = {
  reveal(): string
  toString(): string
  toJSON(): string
  [inspect.custom](): string
}

/** Wraps a text so that no print, log line or JSON shows the text by accident. */
export function createSecret(text: string): Secret {
  const hidden = () => '[secret]'
  return Object.freeze({
    reveal: () => text,
    toString: hidden,
    toJSON: hidden,
    [inspect.custom]: hidden,
  })
}

const SECRET_MAX_BYTES = 65_536

/** The keys whose values name files that are read when the configuration is loaded. */
const fileKeys = configKeys
  .filter(({ kind, path }) => kind === 'text' && path.at(-1)!.endsWith('File'))
  .filter(({ path }) => /^(kafka\.(sasl|tls)|registry|consumers)\./.test(path.join('.')))

/**
 * Reads every file that a key of kafka.sasl, kafka.tls, registry or consumers names. The path of a
 * secret is the path of its key without the suffix `File`. One line break at the end of a file does
 * not belong to the secret.
 */
export function readSecrets(input: unknown) {
  const findings: Finding[] = []
  const secrets: { path: string[]; value: Secret }[] = []
  for (const { path } of fileKeys) {
    const file = valueAt(input, path)
    if (typeof file !== 'string' || file === '') continue
    const read = readText(file, SECRET_MAX_BYTES)
    const text = 'text' in read ? read.text.replace(/\r?\n$/, '') : ''
    const name = path.at(-1)!.slice(0, -'File'.length)
    const unusable = text === '' ? 'is empty' : pemFault(path.at(-1)!, text)
    if (unusable !== null) {
      const reason = 'reason' in read ? read.reason : unusable
      const cure = `Name a file that contains the ${name} and that this user can read`
      findings.push({ path, reason, cure })
    }
    secrets.push({ path: [...path.slice(0, -1), name], value: createSecret(text) })
  }
  return { findings, secrets }
}
