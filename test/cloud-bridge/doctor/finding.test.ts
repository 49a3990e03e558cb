import { expect, it } from 'vitest'
import { splitCure } from '../../../cloud-bridge/doctor/finding.ts'

it('the address of a broker belongs to the value of a finding, not to the cure', () => {
  const text = 'not created, 127.0.0.1:32099: connection refused: is the broker up?'
  const value = 'not created, 127.0.0.1:32099: connection refused'
  expect(splitCure(text, '')).toEqual([value, 'Is the broker up?'])
  expect(splitCure('127.0.0.1:9: no answer', 'See X')).toEqual(['127.0.0.1:9: no answer', 'See X'])
  expect(splitCure('no right: grant it', '')).toEqual(['no right', 'Grant it'])
  expect(splitCure('no right', 'See X')).toEqual(['no right', 'See X'])
})
