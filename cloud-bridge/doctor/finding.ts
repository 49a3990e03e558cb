/** The result of a check: the subject works, deserves attention, or does not work. */
export type Finding =
  | { status: 'ok'; subject: string; value: string }
  | {
      status: 'warning' | 'fault'
      subject: string
      value: string
      /** What to do: a sentence or a command. */
      cure: string
    }

export type Check = {
  subject: string
  run(): Promise<Finding[]>
}

export const ok = (subject: string, value: string): Finding => ({ status: 'ok', subject, value })
export const warning = (subject: string, value: string, cure: string): Finding => ({
  ...{ status: 'warning', subject, value, cure },
})
export const fault = (subject: string, value: string, cure: string): Finding => ({
  ...{ status: 'fault', subject, value, cure },
})

/** The names of the statuses in lines and in JSON. */
const LEVELS = { ok: 'ok', warning: 'warn', fault: 'FAULT' } as const

/** One line: `FAULT  subject: value. Cure`. */
export function findingLine(finding: Finding): string {
  const cure = finding.status === 'ok' ? '' : `. ${finding.cure}`
  return `${LEVELS[finding.status].padEnd(5)}  ${finding.subject}: ${finding.value}${cure}`
}

/** The fields of a finding in `./sluice doctor --json`. */
export function findingJson({ status, subject, ...rest }: Finding) {
  return { level: LEVELS[status], what: subject, ...rest }
}

/**
 * Splits `value: cure` at the first colon; without a colon the cure is `otherwise`. The address of
 * a broker and the colon after the address belong to the value.
 */
export function splitCure(text: string, otherwise: string): [value: string, cure: string] {
  const address = /^.*?\S:\d+: /.exec(text)?.[0] ?? ''
  const colon = text.indexOf(': ', address.length)
  if (colon < 0) return [text, otherwise]
  const cure = text.slice(colon + 2)
  return [text.slice(0, colon), cure[0]!.toUpperCase() + cure.slice(1)]
}

/** Merges findings that differ only in their subjects; the order stays. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ subject: _, ...rest }) => JSON.stringify(rest))
  return [...groups.values()].map(group => ({
    ...group[0]!,
    subject: listSubjects([...new Set(group.map(({ subject }) => subject))]),
  }))
}

/** `topic a, b` for `topic a` and `topic b`. */
function listSubjects([first = '', ...others]: string[]): string {
  const [kind] = first.split(' ')
  return [first, ...others.map(subject => subject.replace(`${kind} `, ''))].join(', ')
}
