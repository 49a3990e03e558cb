/**
 * Runs `work` and returns how many steps its calls of the built-in text functions take: one step
 * for each character that a call reads. The count depends only on the input, and not on the speed
 * of the machine. A regular expression counts as one pass over its text, which holds only for the
 * expressions that `superLinearExpressions` accepts.
 */
export function countSteps(work: () => unknown): number {
  let steps = 0
  const restores = countedCalls.map(([prototype, name, cost]) => {
    const original = prototype[name] as (...args: unknown[]) => unknown
    prototype[name] = function counted(this: unknown, ...args: unknown[]) {
      const result = original.apply(this, args)
      steps += cost(this, args, result)
      return result
    }
    return () => {
      prototype[name] = original
    }
  })
  try {
    work()
  } finally {
    for (const restore of restores) restore()
  }
  return steps
}

type Cost = (self: unknown, args: unknown[], result: unknown) => number
type Prototype = Record<string, unknown>

const lengthOf = (self: unknown) => String(self).length
const texts = String.prototype as unknown as Prototype
const expressions = RegExp.prototype as unknown as Prototype

/** From the start of the search to the place that was found, or to the end of the text. */
const searched: Cost = (self, [, from], found) => {
  const end = (found as number) < 0 ? lengthOf(self) : (found as number)
  return 1 + Math.max(0, end - Number(from ?? 0))
}

const countedCalls: [Prototype, string, Cost][] = [
  [texts, 'charCodeAt', () => 1],
  [texts, 'codePointAt', () => 1],
  [texts, 'charAt', () => 1],
  [texts, 'indexOf', searched],
  [texts, 'includes', lengthOf],
  [texts, 'slice', (_self, _args, result) => 1 + (result as string).length],
  [texts, 'substring', (_self, _args, result) => 1 + (result as string).length],
  [texts, 'split', lengthOf],
  [texts, 'isWellFormed', lengthOf],
  [texts, 'toWellFormed', lengthOf],
  [texts, 'trim', lengthOf],
  [expressions, 'exec', (_self, [text]) => 1 + String(text).length],
]

/**
 * Returns the regular expressions of a source text that may need more than one pass over a text: a
 * repetition without an upper limit in an expression that is not anchored at its start, or a
 * repetition of a group that has a repetition without an upper limit.
 */
export function superLinearExpressions(source: string): string[] {
  const withoutComments = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  const literals = withoutComments.matchAll(
    /(?<=[=(,:[!&|?{};\s])\/((?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n[])+)\//g,
  )
  return [...literals].map(([, pattern]) => pattern!).filter(isSuperLinear)
}

function isSuperLinear(pattern: string): boolean {
  const plain = pattern.replace(/\\./g, 'x').replace(/\[[^\]]*\]/g, 'x')
  const isUnlimited = /[*+]|\{\d+,\}/.test(plain)
  const isNested = /(?:[*+]|\{\d+,\})[^()]*\)(?:[*+]|\{\d+,)/.test(plain)
  return isNested || (isUnlimited && !plain.startsWith('^'))
}
