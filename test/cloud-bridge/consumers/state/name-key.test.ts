import fc from 'fast-check'
import { expect, it } from 'vitest'
import { nameKey } from '../../../../cloud-bridge/consumers/state/name-key.ts'

it('leaves ordinary names as they are', () => {
  expect(nameKey('hq', 'Halle 1 Süd', 't-9')).toBe('hq/Halle 1 Süd/t-9')
})

it('keeps the names apart that contain a slash or a percent sign', () => {
  expect(nameKey('hq', 'z7/3', 'a')).toBe('hq/z7%2F3/a')
  expect(nameKey('hq/z7', '3', 'a')).not.toBe(nameKey('hq', 'z7/3', 'a'))
  expect(nameKey('50 %', '%2F')).toBe('50 %25/%252F')
})

it('can be read back', () => {
  const name = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[%/25Fa]*$/))
  fc.assert(
    fc.property(fc.array(name, { minLength: 1 }), names => {
      const read = nameKey(...names)
        .split('/')
        .map(decodeURIComponent)
      expect(read).toEqual(names)
    }),
  )
})
