import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { message, settle, startQueue } from './queue-fixture.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a group', () => {
  it('is handed over when its oldest message is commitWindowMs old', async () => {
    const { add, groups } = startQueue({ commitWindowMs: 20 })
    add(1)
    await vi.advanceTimersByTimeAsync(15)
    add(2)
    await vi.advanceTimersByTimeAsync(4)
    expect(groups()).toEqual([])
    await vi.advanceTimersByTimeAsync(2)
    expect(groups()).toEqual([[1, 2]])
  })

  it('is handed over at once with commitAtEvents messages', async () => {
    const { add, groups } = startQueue({ commitAtEvents: 3 })
    for (const n of [1, 2]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([])
    add(3)
    expect(groups()).toEqual([[1, 2, 3]])
  })

  it('is handed over at once with groupMaxBytes', async () => {
    const { add, groups } = startQueue({ groupMaxBytes: 30 })
    for (const n of [1, 2]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([])
    add(3)
    expect(groups()).toEqual([[1, 2, 3]])
  })

  it('waits until the one before is done, and takes what came meanwhile', async () => {
    const { add, commits, groups, settled } = startQueue({ commitAtEvents: 1 })
    for (const n of [1, 2, 3]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([[1]])
    expect(settled).toEqual([])
    commits[0]!.end(null)
    await settle()
    expect(groups()).toEqual([[1], [2, 3]])
    expect(settled).toEqual(['1 kept'])
  })

  it('waits for its own window when the one before is done', async () => {
    const { add, commits, groups } = startQueue({ commitWindowMs: 20 })
    add(1)
    await vi.advanceTimersByTimeAsync(21)
    add(2)
    commits[0]!.end(null)
    await vi.advanceTimersByTimeAsync(19)
    expect(groups()).toEqual([[1]])
    await vi.advanceTimersByTimeAsync(2)
    expect(groups()).toEqual([[1], [2]])
  })

  it('has at most groupMaxEvents messages, and about groupMaxBytes', async () => {
    const few = startQueue({ commitAtEvents: 1, groupMaxEvents: 2 })
    const small = startQueue({ commitAtEvents: 1, groupMaxBytes: 25 })
    for (const { add, commits } of [few, small]) {
      for (const n of [1, 2, 3, 4, 5, 6]) add(n)
      for (let at = 0; at < 3; at++) {
        commits[at]!.end(null)
        await settle()
      }
    }
    expect(few.groups()).toEqual([[1], [2, 3], [4, 5], [6]])
    expect(small.groups()).toEqual([[1], [2, 3, 4], [5, 6]])
  })

  it('with no window is handed over without a wait', async () => {
    const { add, groups } = startQueue({ commitWindowMs: 0 })
    add(1)
    expect(groups()).toEqual([[1]])
  })
})

describe('a changed window', () => {
  it('holds for what waits already, wider and narrower', async () => {
    const { queue, add, commits, groups } = startQueue({ commitWindowMs: 20 })
    add(1)
    await vi.advanceTimersByTimeAsync(10)
    queue.windowMs = 100
    await vi.advanceTimersByTimeAsync(80)
    expect(groups()).toEqual([])
    await vi.advanceTimersByTimeAsync(11)
    expect(groups()).toEqual([[1]])
    commits[0]!.end(null)
    add(2)
    await vi.advanceTimersByTimeAsync(50)
    queue.windowMs = 20
    expect(groups()).toEqual([[1], [2]])
  })

  it('takes commitAtEvents along, up to groupMaxEvents, so that a commit holds more', async () => {
    const limits = { commitWindowMs: 20, commitAtEvents: 3, groupMaxEvents: 7 }
    const { queue, add, commits, groups } = startQueue(limits)
    const addMany = (from: number, to: number) => {
      for (let n = from; n <= to; n++) add(n)
    }
    queue.windowMs = 40
    addMany(1, 5)
    expect(groups()).toEqual([])
    add(6)
    expect(groups()).toEqual([[1, 2, 3, 4, 5, 6]])
    commits[0]!.end(null)
    await settle()
    queue.windowMs = 1000
    addMany(1, 6)
    expect(groups()).toHaveLength(1)
    add(7)
    expect(groups()[1]).toEqual([1, 2, 3, 4, 5, 6, 7])
    commits[1]!.end(null)
    await settle()
    queue.windowMs = 20
    addMany(1, 3)
    expect(groups()[2]).toEqual([1, 2, 3])
  })

  it('never makes a group wait for more than commitAtEvents asks for', () => {
    const limits = { commitWindowMs: 0, commitAtEvents: 9, groupMaxEvents: 7 }
    const { queue, add, groups } = startQueue(limits)
    queue.windowMs = 1000
    for (let n = 1; n <= 9; n++) add(n)
    expect(groups()).toEqual([[1, 2, 3, 4, 5, 6, 7]])
  })
})

describe('a refusal', () => {
  const [one, other] = [{}, {}]

  it('refuses the group, and what the same senders sent behind it before that is stored', async () => {
    const { add, commits, groups, settled } = startQueue({ commitAtEvents: 1 })
    add(1, one)
    for (const [n, sender] of [
      [2, one],
      [3, other],
      [4, one],
    ] as const) {
      add(n, sender)
    }
    commits[0]!.end('disk full')
    await settle()
    expect(settled).toEqual(['1 refused', '2 refused', '4 refused'])
    expect(groups()).toEqual([[1], [3]])
    commits[1]!.end(null)
    await settle()
    add(5, one)
    add(6, other)
    await settle()
    expect(groups()).toEqual([[1], [3], [6]])
    expect(settled.slice(3)).toEqual(['3 kept', '5 refused'])
  })

  it('tells its reason', async () => {
    const { queue, commits } = startQueue({ commitAtEvents: 1 })
    const refused = expect(queue.add(message(1), one)).rejects.toThrow('disk full')
    commits[0]!.end('disk full')
    await refused
    await expect(queue.add(message(2), one)).rejects.toThrow('an earlier message')
  })

  it('keeps the count of bytes right', async () => {
    const { add, commits, groups } = startQueue({ commitAtEvents: 1000, groupMaxBytes: 30 })
    for (const n of [1, 2, 3]) add(n, one)
    add(4, one)
    commits[0]!.end('full')
    await settle()
    for (const n of [5, 6]) add(n, other)
    await settle()
    expect(groups()).toEqual([[1, 2, 3]])
    add(7, other)
    expect(groups()).toEqual([
      [1, 2, 3],
      [5, 6, 7],
    ])
  })
})

describe('closing', () => {
  it('commits what waits at once, and takes nothing more', async () => {
    const { queue, add, commits, groups, settled } = startQueue({ groupMaxEvents: 2 })
    for (const n of [1, 2, 3]) add(n)
    let isClosed = false
    const closed = queue.close().then(() => {
      isClosed = true
    })
    add(4)
    await settle()
    expect(groups()).toEqual([[1, 2]])
    commits[0]!.end(null)
    await settle()
    expect(isClosed).toBe(false)
    commits[1]!.end(null)
    await closed
    expect(settled).toEqual(['4 refused', '1 kept', '2 kept', '3 kept'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('of an empty queue is done at once', async () => {
    await startQueue().queue.close()
  })
})

it('the queue keeps order and loses nothing, whatever fails', async () => {
  const step = fc.record({ sender: fc.nat(3), ends: fc.constantFrom(null, null, null, 'full') })
  const some = { commitAtEvents: fc.integer({ min: 1, max: 5 }), groupMaxEvents: fc.nat(5) }
  await fc.assert(
    fc.asyncProperty(fc.array(step), fc.record(some), async (steps, given) => {
      const senders = Array.from({ length: 4 }, () => ({}))
      const groupMaxEvents = given.groupMaxEvents + 1
      const queue = startQueue({ commitAtEvents: given.commitAtEvents, groupMaxEvents })
      const ended: (string | null)[] = []
      const endOne = async (reason: string | null) => {
        if (ended.length >= queue.commits.length) return
        queue.commits[ended.length]!.end(reason)
        ended.push(reason)
        await settle()
      }
      for (const [n, { sender, ends }] of steps.entries()) {
        queue.add(n, senders[sender])
        if (n % 3 === 2) await endOne(ends)
      }
      const closed = queue.queue.close()
      await settle()
      while (ended.length < queue.commits.length) await endOne(null)
      await closed

      const kept = queue.groups().flatMap((group, at) => (ended[at] === null ? group : []))
      const tried = queue.groups().flat()
      expect(tried).toEqual(tried.toSorted((a, b) => Number(a) - Number(b)))
      expect(queue.settled.filter(text => text.endsWith('kept'))).toEqual(
        kept.map(n => `${n} kept`),
      )
      expect(queue.settled).toHaveLength(steps.length)
      for (const sender of [0, 1, 2, 3]) {
        const mine = steps.flatMap((one, n) => (one.sender === sender ? [n] : []))
        const firstRefused = mine.findIndex(n => queue.settled.includes(`${n} refused`))
        if (firstRefused < 0) continue
        for (const n of mine.slice(firstRefused)) {
          expect(queue.settled).toContain(`${n} refused`)
        }
      }
    }),
  )
})
