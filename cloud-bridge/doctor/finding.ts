/** What was found: all is well, somebody should know, or it does not work like this. */
export type Finding = {
  level: 'ok' | 'warn' | 'FAULT'
  what: string
  value: string
  /** What to do; a sentence or a command. */
  cure?: string
}

/** One thing to look at. */
export type Check = {
  what: string
  look(): Promise<Finding[]>
}

export const ok = (what: string, value: string): Finding => ({ level: 'ok', what, value })
export const warn = (what: string, value: string, cure: string): Finding => ({
  ...{ level: 'warn', what, value, cure },
})
export const fault = (what: string, value: string, cure: string): Finding => ({
  ...{ level: 'FAULT', what, value, cure },
})

/** One line: `FAULT  what: value. Cure`. */
export function findingLine({ level, what, value, cure }: Finding): string {
  return `${level.padEnd(5)}  ${what}: ${value}${cure === undefined ? '' : `. ${cure}`}`
}

/** What is wrong, and what can be done about it, where one text says both parted by a colon. */
export function splitCure(text: string, otherwise: string): [value: string, cure: string] {
  const at = text.indexOf(': ')
  if (at < 0) return [text, otherwise]
  const cure = text.slice(at + 2)
  return [text.slice(0, at), cure[0]!.toUpperCase() + cure.slice(1)]
}

/** What was found alike at several things, as one finding; the order stays. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const same = Map.groupBy(findings, ({ level, value, cure }) =>
    JSON.stringify([level, value, cure]),
  )
  return [...same.values()].map(all => ({
    ...all[0]!,
    what: listed([...new Set(all.map(({ what }) => what))]),
  }))
}

function listed([first = '', ...others]: string[]): string {
  const [kind] = first.split(' ')
  return [first, ...others.map(one => one.replace(`${kind} `, ''))].join(', ')
}
