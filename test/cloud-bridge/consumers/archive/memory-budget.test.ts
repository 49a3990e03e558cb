import { expect, it } from 'vitest'
import { createMemoryBudget } from '../../../../cloud-bridge/consumers/archive/memory-budget.ts'

function createOwner(bytes: number, commits: number[]) {
  const owner = {
    bytes,
    async commit() {
      commits.push(owner.bytes)
      owner.bytes = 0
    },
  }
  return owner
}

it('commits the largest owners until there is room for all', async () => {
  const commits: number[] = []
  const budget = createMemoryBudget(10)
  const owners = [3, 7, 2, 6].map(bytes => createOwner(bytes, commits))
  for (const owner of owners) budget.add(owner)
  await budget.makeRoom()
  expect(commits).toEqual([7, 6])
  await budget.makeRoom()
  expect(commits).toHaveLength(2)
  owners[1]!.bytes = 20
  budget.remove(owners[1]!)
  await budget.makeRoom()
  expect(commits).toHaveLength(2)
})
