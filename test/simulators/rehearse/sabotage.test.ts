import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { sabotages } from '../../../simulators/rehearse/sabotage.ts'

it.each(Object.entries(sabotages))('%s finds the line that it breaks', (_, changes) => {
  for (const { file, from, to } of changes) {
    const text = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')
    expect(text.split(from)).toHaveLength(2)
    // The compiler does not check the replaced line, so each method that the line calls must be
    // called elsewhere in the file.
    for (const [call] of to.matchAll(/\bsource\.\w+\(/g)) expect(text).toContain(call)
  }
})
