import { expect, it } from 'vitest'
import { formatBytes, formatTwoSizes } from '../../../config/process/text-format.ts'

it('formats sizes for a person', () => {
  const texts = [999, 1500, 8_589_934_592].map(bytes => formatBytes(bytes))
  expect(texts).toEqual(['999 bytes', '1.5 kB', '8.6 GB'])
})

it.each([
  [11_000_000, 12_582_912, ['11.0 MB', '12.6 MB']],
  [1_000_000, 1_048_576, ['1.00 MB', '1.05 MB']],
  [1_047_552, 1_048_576, ['1.048 MB', '1.049 MB']],
  [5_000_000_000, 5_000_000_100, ['5000000000 bytes', '5000000100 bytes']],
  [1000, 1000, ['1.0 kB', '1.0 kB']],
])('formats %d and %d with the digits that tell them apart', (first, second, texts) => {
  expect(formatTwoSizes(first, second)).toEqual(texts)
})
