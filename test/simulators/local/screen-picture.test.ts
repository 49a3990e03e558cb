import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { screenPicture } from '../../../simulators/local/screen-picture.ts'

const picture = new URL('../../../docs/screen.svg', import.meta.url)

it('docs/screen.svg shows the live screen as the code draws it', () => {
  const command = './sluice exec simulators/local/screen-picture.ts > docs/screen.svg'
  expect(readFileSync(picture, 'utf8'), `run ${command}`).toBe(screenPicture())
})
