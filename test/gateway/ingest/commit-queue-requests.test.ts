import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CommitQueue, RefusedError } from '../../../gateway/ingest/commit-queue.ts'
import { createQueue, limits, message, runPending } from './queue-fixture.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('work between commits', () => {
  it('runs after the running commit and before the next; only the last of several calls runs', async () => {
    const { queue, add, commits, groups } = createQueue({ commitAtEvents: 1 })
    add(1)
    add(2)
    const ran: string[] = []
    let finish = () => {}
    queue.runBetweenCommits(async () => void ran.push('first'))
    queue.runBetweenCommits(() => {
      ran.push('second')
      return new Promise<void>(resolve => {
        finish = resolve
      })
    })
    await runPending()
    expect(ran).toEqual([])
    commits[0]!.end(null)
    await runPending()
    expect(ran).toEqual(['second'])
    expect(groups()).toEqual([[1]])
    finish()
    await runPending()
    expect(groups()).toEqual([[1], [2]])
  })

  it('alternates with commits that are due, however often it is requested', async () => {
    const { queue, add, commits } = createQueue({ commitAtEvents: 1, groupMaxEvents: 1 })
    const order: string[] = []
    const requeue = async () => {
      order.push('work')
      if (order.length < 20) queue.runBetweenCommits(requeue)
    }
    queue.runBetweenCommits(requeue)
    for (let n = 1; n <= 5; n++) add(n)
    for (let n = 0; n < 5; n++) {
      await runPending()
      order.push('commit')
      commits[n]!.end(null)
    }
    await runPending()
    expect(order.slice(0, 10)).toEqual(new Array(5).fill(['work', 'commit']).flat())
    expect(order.slice(10)).toEqual(new Array(10).fill('work'))
  })

  it('runs each task in order, between commits and before idle work, and gives its result', async () => {
    const { queue, add, commits, groups } = createQueue({ commitAtEvents: 1 })
    add(1)
    const ran: string[] = []
    const runTask = (name: string) =>
      queue.runTask(async () => {
        ran.push(name)
        return name
      })
    const first = runTask('a')
    queue.runBetweenCommits(async () => void ran.push('tick'))
    const second = runTask('b')
    const failing = queue.runTask(() => Promise.reject(new Error('no')))
    add(2)
    commits[0]!.end(null)
    expect(await first).toBe('a')
    await runPending()
    expect(ran).toEqual(['a'])
    commits[1]!.end(null)
    expect(await second).toBe('b')
    await expect(failing).rejects.toThrow('no')
    await runPending()
    expect(ran).toEqual(['a', 'b', 'tick'])
    expect(groups()).toEqual([[1], [2]])
  })

  it('refuses tasks above the limit, and all tasks while closing', async () => {
    const { queue, add, commits } = createQueue({ commitAtEvents: 1 })
    add(1)
    const accepted = Array.from({ length: 8 }, () => queue.runTask(async () => 'done'))
    await expect(queue.runTask(async () => 'done')).rejects.toThrow('8 requests wait already')
    const closed = queue.close()
    await expect(queue.runTask(async () => 'done')).rejects.toThrow('stopping')
    commits[0]!.end(null)
    expect(await Promise.all(accepted)).toEqual(Array(8).fill('done'))
    await closed
  })
})

describe('an exception', () => {
  it('in a commit refuses its group and later handovers of its senders, and no others', async () => {
    let isThrowing = true
    const queue = new CommitQueue({ ...limits, commitAtEvents: 1, groupMaxEvents: 2 }, async () => {
      if (isThrowing) throw new RangeError('it does not fit')
      return null
    })
    const sender = {}
    const first = queue.add(message(1), sender)
    await expect(first).rejects.toThrow('it does not fit')
    await expect(first).rejects.toBeInstanceOf(RefusedError)
    isThrowing = false
    await expect(queue.add(message(2), sender)).rejects.toBeInstanceOf(RefusedError)
    await queue.add(message(3), {})
    await queue.close()
  })

  it('in work between commits does not stop the queue', async () => {
    const { queue, add, commits, fates } = createQueue({ commitAtEvents: 1 })
    queue.runBetweenCommits(() => Promise.reject(new Error('no')))
    await runPending()
    const throwing = queue.runTask(() => {
      throw new Error('at once')
    })
    await expect(throwing).rejects.toThrow('at once')
    add(1)
    await runPending()
    commits[0]!.end(null)
    await runPending()
    expect(fates).toEqual(['1 kept'])
  })
})
