import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type BellMark,
  openBell,
  readBell,
  watchBell,
} from '../../../../gateway/store/file/bell.ts'
import { temporary } from '../fixture.ts'

const mark: BellMark = {
  store: Buffer.from('00112233445566778899aabbccddeeff', 'hex'),
  epoch: 123_456_789_012_345,
  sequence: 1000,
  noteSequence: 7,
}
const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const anyMark: fc.Arbitrary<BellMark> = fc.record({
  store: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes)),
  epoch: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  sequence: number,
  noteSequence: number,
})

/** Longer than any test, so a wait that ends earlier was ended by the bell or by `wake`. */
const FOREVER_MS = 1_000_000

describe('the bell', () => {
  it('stores the last mark in the same 48 bytes', () => {
    using place = temporary()
    const file = place.file('bell')
    const bell = openBell(file)
    const { ino } = statSync(file)
    fc.assert(
      fc.property(anyMark, someMark => {
        bell.ring(someMark)
        expect(readBell(file)).toEqual(someMark)
        expect(statSync(file)).toMatchObject({ ino, size: 48 })
      }),
    )
    bell.close()
  })

  it('has the documented bytes', () => {
    using place = temporary()
    const file = place.file('bell')
    const bell = openBell(file)
    bell.ring(mark)
    bell.close()
    expect(readFileSync(file).toString('hex')).toBe(
      ['534c4231', mark.store.toString('hex'), '79df0d8648700000', 'e803000000000000'].join('') +
        '070000000000000069ac2171',
    )
  })

  it('is ignored with any flipped bit or another length', () => {
    using place = temporary()
    const file = place.file('bell')
    const bell = openBell(file)
    bell.ring(mark)
    bell.close()
    const intact = readFileSync(file)
    for (let bit = 0; bit < intact.length * 8; bit++) {
      const damaged = Buffer.from(intact)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      writeFileSync(file, damaged)
      expect(readBell(file)).toBe(null)
    }
    for (const length of [0, 1, 47]) {
      writeFileSync(file, intact.subarray(0, length))
      expect(readBell(file)).toBe(null)
    }
    writeFileSync(file, Buffer.concat([intact, Buffer.alloc(1)]))
    expect(readBell(file)).toBe(null)
  })

  it('is null when the file is missing or a directory', () => {
    using place = temporary()
    expect(readBell(place.file('bell'))).toBe(null)
    mkdirSync(place.file('bell'))
    expect(readBell(place.file('bell'))).toBe(null)
  })

  it('keeps the stored mark when opened', () => {
    using place = temporary()
    const file = place.file('bell')
    const first = openBell(file)
    first.ring(mark)
    first.close()
    openBell(file).close()
    expect(readBell(file)).toEqual(mark)
  })
})

describe('watching the bell', () => {
  it('wakes the waiter when the bell rings', async () => {
    using place = temporary()
    using watched = watching(place.file('bell'))
    for (let sequence = 1; sequence <= 5; sequence++) {
      const woken = watched.next(FOREVER_MS)
      watched.bell.ring({ ...mark, sequence })
      await woken
      expect(readBell(place.file('bell'))!.sequence).toBe(sequence)
    }
  })

  it('remembers a ring between two waits', async () => {
    using place = temporary()
    using watched = watching(place.file('bell'))
    await watched.next(1)
    watched.wake()
    await watched.next(FOREVER_MS)
  })

  it('ends a wait at the timeout and at close', async () => {
    using place = temporary()
    const watcher = watchBell(place.file('bell'))
    await watcher.next(1)
    const waiting = watcher.next(FOREVER_MS)
    watcher.close()
    await waiting
  })

  it('finds a bell that is created later', async () => {
    using place = temporary()
    const watcher = watchBell(place.file('bell'))
    await watcher.next(1)
    const bell = openBell(place.file('bell'))
    await expectWakes(watcher, bell)
    watcher.close()
    bell.close()
  })

  it('follows a bell that replaces the watched one', async () => {
    using place = temporary()
    mkdirSync(place.file('old'))
    const file = place.file('old/bell')
    using watched = watching(file)
    await expectWakes(watched, watched.bell)
    for (const replace of [
      () => rmSync(file),
      () => renameSync(file, `${file}-old`),
      () => renameSync(place.file('old'), place.file('older')),
    ]) {
      replace()
      mkdirSync(place.file('old'), { recursive: true })
      const bell = openBell(file)
      await expectWakes(watched, bell)
      bell.close()
    }
  })

  /**
   * Checks ten times that a ring wakes the waiter, because file events of earlier steps may still
   * be received and wake the waiter once, too.
   */
  async function expectWakes(
    watcher: Pick<ReturnType<typeof watchBell>, 'next'>,
    bell: ReturnType<typeof openBell>,
  ) {
    for (let time = 0; time < 10; time++) {
      await watcher.next(1)
      const woken = watcher.next(FOREVER_MS)
      bell.ring(mark)
      await woken
    }
  }

  function watching(file: string) {
    const bell = openBell(file)
    const watcher = watchBell(file)
    const close = () => {
      watcher.close()
      bell.close()
    }
    return { ...watcher, bell, [Symbol.dispose]: close }
  }
})
