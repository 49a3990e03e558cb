import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { settle, startQueue } from './queue-fixture.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('work between commits', () => {
  it('runs when the commit is done, before the next, once for many', async () => {
    const { queue, add, commits, groups } = startQueue({ commitAtEvents: 1 })
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
    await settle()
    expect(ran).toEqual([])
    commits[0]!.end(null)
    await settle()
    expect(ran).toEqual(['second'])
    expect(groups()).toEqual([[1]])
    finish()
    await settle()
    expect(groups()).toEqual([[1], [2]])
  })

  it('takes turns with commits that are due, however much of it there is', async () => {
    const { queue, add, commits } = startQueue({ commitAtEvents: 1, groupMaxEvents: 1 })
    const order: string[] = []
    const again = async () => {
      order.push('work')
      if (order.length < 20) queue.runBetweenCommits(again)
    }
    queue.runBetweenCommits(again)
    for (let n = 1; n <= 5; n++) add(n)
    for (let n = 0; n < 5; n++) {
      await settle()
      order.push('commit')
      commits[n]!.end(null)
    }
    await settle()
    expect(order.slice(0, 10)).toEqual(new Array(5).fill(['work', 'commit']).flat())
    expect(order.slice(10)).toEqual(new Array(10).fill('work'))
  })

  it('runs each errand in its turn, between commits and before ticks, and gives its result', async () => {
    const { queue, add, commits, groups } = startQueue({ commitAtEvents: 1 })
    add(1)
    const ran: string[] = []
    const errand = (name: string) =>
      queue.runTask(async () => {
        ran.push(name)
        return name
      })
    const first = errand('a')
    queue.runBetweenCommits(async () => void ran.push('tick'))
    const second = errand('b')
    const failing = queue.runTask(() => Promise.reject(new Error('no')))
    add(2)
    commits[0]!.end(null)
    expect(await first).toBe('a')
    await settle()
    expect(ran).toEqual(['a'])
    commits[1]!.end(null)
    expect(await second).toBe('b')
    await expect(failing).rejects.toThrow('no')
    await settle()
    expect(ran).toEqual(['a', 'b', 'tick'])
    expect(groups()).toEqual([[1], [2]])
  })

  it('takes no errands without end, and none when it is closing', async () => {
    const { queue, add, commits } = startQueue({ commitAtEvents: 1 })
    add(1)
    const taken = Array.from({ length: 8 }, () => queue.runTask(async () => 'done'))
    await expect(queue.runTask(async () => 'done')).rejects.toThrow('8 requests wait already')
    const closed = queue.close()
    await expect(queue.runTask(async () => 'done')).rejects.toThrow('stopping')
    commits[0]!.end(null)
    expect(await Promise.all(taken)).toEqual(Array(8).fill('done'))
    await closed
  })
})
