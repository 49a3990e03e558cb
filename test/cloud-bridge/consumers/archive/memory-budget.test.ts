import { expect, it } from 'vitest'
import { createMemoryBudget } from '../../../../cloud-bridge/consumers/archive/memory-budget.ts'

function holding(bytes: number, said: number[]) {
  const holder = {
    bytes,
    async empty() {
      said.push(holder.bytes)
      holder.bytes = 0
    },
  }
  return holder
}

it('has who holds most commit until there is room for all', async () => {
  const said: number[] = []
  const room = createMemoryBudget(10)
  const holders = [3, 7, 2, 6].map(bytes => holding(bytes, said))
  for (const holder of holders) room.enter(holder)
  await room.make()
  expect(said).toEqual([7, 6])
  await room.make()
  expect(said).toHaveLength(2)
  holders[1]!.bytes = 20
  room.leave(holders[1]!)
  await room.make()
  expect(said).toHaveLength(2)
})
