import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import type { Fault } from './faults.ts'
import { readText } from './file-text.ts'
import { type KeyPath, pathText } from './keys.ts'
import { isGroup } from './nested-values.ts'

/**
 * The content of a configuration file; `value` is {} when the file cannot be read. Line numbers
 * count from 1.
 */
export type Document = {
  value: unknown
  faults: Fault[]
  lineOf(path: KeyPath): number | undefined
}

/** The content in place of a file when no file is named. */
export const noDocument: Document = { value: {}, faults: [], lineOf: () => undefined }

const DOCUMENT_MAX_BYTES = 1_048_576
const SYNTAX_CURE =
  'Fix the line: indent with spaces, put a space after a colon, quote text that holds ": " or "#"'

/** Reads a YAML file. `faults` has all faults of the file and of its syntax. Never throws. */
export function readDocument(file: string): Document {
  const read = readText(file, DOCUMENT_MAX_BYTES)
  if ('text' in read) return parseText(read.text, file)
  const cure =
    'Name a readable file with --config or SLUICE_CONFIG, or none to run with the defaults'
  const fault = { key: 'configuration file', value: JSON.stringify(file), ...read, cure }
  return { ...noDocument, faults: [fault] }
}

function parseText(text: string, file: string): Document {
  const lines = new LineCounter()
  const faults: Fault[] = []
  const addFault = (key: string, message: string, offset?: number) => {
    // The parser's message quotes the source after a colon, and the source may contain a secret.
    const reason = /call stack/.test(message) ? 'is nested too deeply' : message.split(/[:;]/)[0]!
    const where = offset === undefined ? undefined : `line ${lines.linePos(offset).line} of ${file}`
    if (where === undefined || !faults.some(fault => fault.where === where)) {
      faults.push({ key, reason, cure: SYNTAX_CURE, ...(where && { where }) })
    }
  }
  try {
    const yaml = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    })
    for (const { message, pos } of [...yaml.errors, ...yaml.warnings])
      addFault(file, message, pos[0])
    const root = yaml.contents
    if (faults.length > 0) return { ...noDocument, faults }
    const value = yaml.toJS() ?? {}
    if (!isGroup(value)) {
      const cure = 'Write keys and values, such as gateway: and below it id: gateway'
      return { ...noDocument, faults: [{ key: file, reason: 'is not a mapping of keys', cure }] }
    }
    const lineOf = (path: KeyPath) => lineIn(root, path, lines)
    return { value, faults: repeatedKeyFaults(root, [], lines, file), lineOf }
  } catch (error) {
    addFault(file, (error as Error).message)
    return { ...noDocument, faults }
  }
}

const keyOf = (pair: YAMLMap['items'][number]) =>
  isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
const startOf = (node: unknown) => (node as Node | null)?.range?.[0]

function lineIn(root: unknown, path: KeyPath, lines: LineCounter): number | undefined {
  let node = root
  let start: number | undefined
  for (const step of path) {
    if (isMap(node)) {
      // Of two equal keys YAML uses the last one.
      const pair = node.items.findLast(item => keyOf(item) === step)
      if (!pair) return undefined
      start = startOf(pair.key)
      node = pair.value
    } else if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      start = startOf(node)
    } else return undefined
  }
  return start === undefined ? undefined : lines.linePos(start).line
}

function repeatedKeyFaults(
  node: unknown,
  path: KeyPath,
  lines: LineCounter,
  file: string,
): Fault[] {
  if (isSeq(node)) {
    return node.items.flatMap((item, i) => repeatedKeyFaults(item, [...path, i], lines, file))
  }
  if (!isMap(node)) return []
  const firstLines = new Map<string, number>()
  return node.items.flatMap(pair => {
    const key = keyOf(pair)
    const { line } = lines.linePos(startOf(pair.key) ?? 0)
    const first = firstLines.get(key)
    firstLines.set(key, first ?? line)
    const inner = repeatedKeyFaults(pair.value, [...path, key], lines, file)
    if (first === undefined) return inner
    const reason = `is given in line ${first} already`
    const where = `line ${line} of ${file}`
    return [{ key: pathText([...path, key]), reason, cure: 'Keep one of the two', where }, ...inner]
  })
}
