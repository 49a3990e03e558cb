import { describe, expect, it } from 'vitest'
import {
  createFailFastQueue,
  createSerialQueue,
} from '../../../../cloud-bridge/consumers/runtime/serial-queue.ts'

const nextTurn = () => new Promise(resolve => setImmediate(resolve))
const fails = async () => {
  throw new Error('broken')
}

describe('a serial queue', () => {
  it('runs tasks one at a time, in order, and continues after a failure', async () => {
    const queue = createSerialQueue()
    const steps: string[] = []
    const gate = Promise.withResolvers<void>()
    const first = queue.run(async () => {
      steps.push('first starts')
      await gate.promise
      steps.push('first ends')
      return 1
    })
    const failed = queue.run(fails)
    const last = queue.run(async () => void steps.push('last'))
    await nextTurn()
    expect(steps).toEqual(['first starts'])
    gate.resolve()
    await expect(failed).rejects.toThrow('broken')
    await last
    expect([await first, ...steps]).toEqual([1, 'first starts', 'first ends', 'last'])
  })
})

describe('a fail-fast queue', () => {
  it('runs nothing after a failure but the last task', async () => {
    const queue = createFailFastQueue()
    const steps: string[] = []
    await queue.run(async () => void steps.push('first'))
    expect(queue.hasFailed).toBe(false)
    await expect(queue.run(fails)).rejects.toThrow('broken')
    await expect(queue.run(async () => void steps.push('never'))).rejects.toThrow('broken')
    await expect(queue.failed).rejects.toThrow('broken')
    await queue.runLast(async () => void steps.push('last'))
    expect([queue.hasFailed, ...steps]).toEqual([true, 'first', 'last'])
  })
})
