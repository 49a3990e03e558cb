import { expect, it } from 'vitest'
import { findFailure } from './history.ts'

const HISTORIES = 200

it('the verdict on random histories of stores is complete only when nothing is gone unnamed', () => {
  expect(findFailure(1, HISTORIES)).toBeNull()
})
