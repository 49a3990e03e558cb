import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import type { Fault } from './faults.ts'
import { readText } from './file-text.ts'
import { type KeyPath, pathText } from './keys.ts'
import { isGroup } from './nested-values.ts'

/** A configuration file as it was read: {} where it could not be. Lines count from 1. */
export type Document = {
  value: unknown
  faults: Fault[]
  lineOf(path: KeyPath): number | undefined
}

/** What takes the place of a file when none is named. */
export const noDocument: Document = { value: {}, faults: [], lineOf: () => undefined }

const documentMaxBytes = 1_048_576
const syntaxCure =
  'Mend the line: indent with spaces, put a space after a colon, quote text that holds ": " or "#"'

/** Reads a YAML file. Every fault of file and syntax is in `faults`; nothing is thrown. */
export function readDocument(file: string): Document {
  const read = readText(file, documentMaxBytes)
  if ('text' in read) return parseText(read.text, file)
  const cure =
    'Name a readable file with --config or SLUICE_CONFIG, or none to run with the defaults'
  const fault = { key: 'configuration file', value: JSON.stringify(file), ...read, cure }
  return { ...noDocument, faults: [fault] }
}

function parseText(text: string, file: string): Document {
  const lines = new LineCounter()
  const faults: Fault[] = []
  const blame = (key: string, message: string, at?: number) => {
    // What follows a colon quotes the source, which may hold a secret.
    const reason = /call stack/.test(message) ? 'is nested too deeply' : message.split(/[:;]/)[0]!
    const where = at === undefined ? undefined : `line ${lines.linePos(at).line} of ${file}`
    if (where === undefined || !faults.some(fault => fault.where === where)) {
      faults.push({ key, reason, cure: syntaxCure, ...(where && { where }) })
    }
  }
  try {
    const yaml = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    })
    for (const { message, pos } of [...yaml.errors, ...yaml.warnings]) blame(file, message, pos[0])
    const root = yaml.contents
    if (faults.length > 0) return { ...noDocument, faults }
    const value = yaml.toJS() ?? {}
    if (!isGroup(value)) {
      const cure = 'Write keys and values, such as gateway: and beneath it id: gateway'
      return { ...noDocument, faults: [{ key: file, reason: 'is no mapping of keys', cure }] }
    }
    const line = (path: KeyPath) => lineIn(root, path, lines)
    return { value, faults: repeated(root, [], lines, file), lineOf: line }
  } catch (error) {
    blame(file, (error as Error).message)
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
      // The last of two equal keys is the one whose value counts.
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

function repeated(node: unknown, path: KeyPath, lines: LineCounter, file: string): Fault[] {
  if (isSeq(node)) {
    return node.items.flatMap((item, i) => repeated(item, [...path, i], lines, file))
  }
  if (!isMap(node)) return []
  const firstLines = new Map<string, number>()
  return node.items.flatMap(pair => {
    const key = keyOf(pair)
    const { line } = lines.linePos(startOf(pair.key) ?? 0)
    const first = firstLines.get(key)
    firstLines.set(key, first ?? line)
    const inner = repeated(pair.value, [...path, key], lines, file)
    if (first === undefined) return inner
    const reason = `was already given in line ${first}`
    const where = `line ${line} of ${file}`
    return [{ key: pathText([...path, key]), reason, cure: 'Keep one of the two', where }, ...inner]
  })
}
