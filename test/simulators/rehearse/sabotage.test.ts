import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { sabotages } from '../../../simulators/rehearse/sabotage.ts'

it.each(Object.entries(sabotages))('%s finds the line that it breaks', (_, changes) => {
  for (const { file, from } of changes) {
    const text = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')
    expect(text.split(from)).toHaveLength(2)
  }
})
