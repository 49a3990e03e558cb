import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createQueue, message, runPending } from './queue-fixture.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a group', () => {
  it('is committed when its oldest message is commitWindowMs old', async () => {
    const { add, groups } = createQueue({ commitWindowMs: 20 })
    add(1)
    await vi.advanceTimersByTimeAsync(15)
    add(2)
    await vi.advanceTimersByTimeAsync(4)
    expect(groups()).toEqual([])
    await vi.advanceTimersByTimeAsync(2)
    expect(groups()).toEqual([[1, 2]])
  })

  it('is committed at once with commitAtEvents messages', async () => {
    const { add, groups } = createQueue({ commitAtEvents: 3 })
    for (const n of [1, 2]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([])
    add(3)
    expect(groups()).toEqual([[1, 2, 3]])
  })

  it('is committed at once with groupMaxBytes', async () => {
    const { add, groups } = createQueue({ groupMaxBytes: 30 })
    for (const n of [1, 2]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([])
    add(3)
    expect(groups()).toEqual([[1, 2, 3]])
  })

  it('waits for the previous commit, and contains the messages queued meanwhile', async () => {
    const { add, commits, groups, fates } = createQueue({ commitAtEvents: 1 })
    for (const n of [1, 2, 3]) add(n)
    await vi.advanceTimersByTimeAsync(1000)
    expect(groups()).toEqual([[1]])
    expect(fates).toEqual([])
    commits[0]!.end(null)
    await runPending()
    expect(groups()).toEqual([[1], [2, 3]])
    expect(fates).toEqual(['1 kept'])
  })

  it('waits for its own window after the previous commit', async () => {
    const { add, commits, groups } = createQueue({ commitWindowMs: 20 })
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
    const few = createQueue({ commitAtEvents: 1, groupMaxEvents: 2 })
    const small = createQueue({ commitAtEvents: 1, groupMaxBytes: 25 })
    for (const { add, commits } of [few, small]) {
      for (const n of [1, 2, 3, 4, 5, 6]) add(n)
      for (let at = 0; at < 3; at++) {
        commits[at]!.end(null)
        await runPending()
      }
    }
    expect(few.groups()).toEqual([[1], [2, 3], [4, 5], [6]])
    expect(small.groups()).toEqual([[1], [2, 3, 4], [5, 6]])
  })

  it('is committed without a wait when the window is 0', async () => {
    const { add, groups } = createQueue({ commitWindowMs: 0 })
    add(1)
    expect(groups()).toEqual([[1]])
  })
})

describe('a changed commit window', () => {
  it('applies to messages that are queued already, wider and narrower', async () => {
    const { queue, add, commits, groups } = createQueue({ commitWindowMs: 20 })
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

  it('raises commitAtEvents in proportion, up to groupMaxEvents', async () => {
    const limits = { commitWindowMs: 20, commitAtEvents: 3, groupMaxEvents: 7 }
    const { queue, add, commits, groups } = createQueue(limits)
    const addMany = (from: number, to: number) => {
      for (let n = from; n <= to; n++) add(n)
    }
    queue.windowMs = 40
    addMany(1, 5)
    expect(groups()).toEqual([])
    add(6)
    expect(groups()).toEqual([[1, 2, 3, 4, 5, 6]])
    commits[0]!.end(null)
    await runPending()
    queue.windowMs = 1000
    addMany(1, 6)
    expect(groups()).toHaveLength(1)
    add(7)
    expect(groups()[1]).toEqual([1, 2, 3, 4, 5, 6, 7])
    commits[1]!.end(null)
    await runPending()
    queue.windowMs = 20
    addMany(1, 3)
    expect(groups()[2]).toEqual([1, 2, 3])
  })

  it('never makes a group wait for more messages than the larger of the two limits', () => {
    const limits = { commitWindowMs: 0, commitAtEvents: 9, groupMaxEvents: 7 }
    const { queue, add, groups } = createQueue(limits)
    queue.windowMs = 1000
    for (let n = 1; n <= 9; n++) add(n)
    expect(groups()).toEqual([[1, 2, 3, 4, 5, 6, 7]])
  })
})

describe('a refusal', () => {
  const [sender, otherSender] = [{}, {}]

  it('refuses the group, and all later messages of its senders', async () => {
    const { add, commits, groups, fates } = createQueue({ commitAtEvents: 1 })
    add(1, sender)
    for (const [n, from] of [
      [2, sender],
      [3, otherSender],
      [4, sender],
    ] as const) {
      add(n, from)
    }
    commits[0]!.end('disk full')
    await runPending()
    expect(fates).toEqual(['1 refused', '2 refused', '4 refused'])
    expect(groups()).toEqual([[1], [3]])
    commits[1]!.end(null)
    await runPending()
    add(5, sender)
    add(6, otherSender)
    await runPending()
    expect(groups()).toEqual([[1], [3], [6]])
    expect(fates.slice(3)).toEqual(['3 kept', '5 refused'])
  })

  it('gives its reason', async () => {
    const { queue, commits } = createQueue({ commitAtEvents: 1 })
    const refused = expect(queue.add(message(1), sender)).rejects.toThrow('disk full')
    commits[0]!.end('disk full')
    await refused
    await expect(queue.add(message(2), sender)).rejects.toThrow('an earlier message')
  })

  it('keeps the byte count of the queue correct', async () => {
    const { add, commits, groups } = createQueue({ commitAtEvents: 1000, groupMaxBytes: 30 })
    for (const n of [1, 2, 3]) add(n, sender)
    add(4, sender)
    commits[0]!.end('full')
    await runPending()
    for (const n of [5, 6]) add(n, otherSender)
    await runPending()
    expect(groups()).toEqual([[1, 2, 3]])
    add(7, otherSender)
    expect(groups()).toEqual([
      [1, 2, 3],
      [5, 6, 7],
    ])
  })
})

describe('closing', () => {
  it('commits all queued messages at once, and refuses new ones', async () => {
    const { queue, add, commits, groups, fates } = createQueue({ groupMaxEvents: 2 })
    for (const n of [1, 2, 3]) add(n)
    let isClosed = false
    const closed = queue.close().then(() => {
      isClosed = true
    })
    add(4)
    await runPending()
    expect(groups()).toEqual([[1, 2]])
    commits[0]!.end(null)
    await runPending()
    expect(isClosed).toBe(false)
    commits[1]!.end(null)
    await closed
    expect(fates).toEqual(['4 refused', '1 kept', '2 kept', '3 kept'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('of an empty queue is done at once', async () => {
    await createQueue().queue.close()
  })
})

it('the queue keeps the order and loses no message, whichever commits fail', async () => {
  const step = fc.record({ sender: fc.nat(3), ends: fc.constantFrom(null, null, null, 'full') })
  const some = { commitAtEvents: fc.integer({ min: 1, max: 5 }), groupMaxEvents: fc.nat(5) }
  await fc.assert(
    fc.asyncProperty(fc.array(step), fc.record(some), async (steps, given) => {
      const senders = Array.from({ length: 4 }, () => ({}))
      const groupMaxEvents = given.groupMaxEvents + 1
      const queue = createQueue({ commitAtEvents: given.commitAtEvents, groupMaxEvents })
      const ended: (string | null)[] = []
      const endOne = async (reason: string | null) => {
        if (ended.length >= queue.commits.length) return
        queue.commits[ended.length]!.end(reason)
        ended.push(reason)
        await runPending()
      }
      for (const [n, { sender, ends }] of steps.entries()) {
        queue.add(n, senders[sender])
        if (n % 3 === 2) await endOne(ends)
      }
      const closed = queue.queue.close()
      await runPending()
      while (ended.length < queue.commits.length) await endOne(null)
      await closed

      const kept = queue.groups().flatMap((group, at) => (ended[at] === null ? group : []))
      const tried = queue.groups().flat()
      expect(tried).toEqual(tried.toSorted((a, b) => Number(a) - Number(b)))
      expect(queue.fates.filter(text => text.endsWith('kept'))).toEqual(kept.map(n => `${n} kept`))
      expect(queue.fates).toHaveLength(steps.length)
      for (const sender of [0, 1, 2, 3]) {
        const ofSender = steps.flatMap((step, n) => (step.sender === sender ? [n] : []))
        const firstRefused = ofSender.findIndex(n => queue.fates.includes(`${n} refused`))
        if (firstRefused < 0) continue
        for (const n of ofSender.slice(firstRefused)) {
          expect(queue.fates).toContain(`${n} refused`)
        }
      }
    }),
  )
})
