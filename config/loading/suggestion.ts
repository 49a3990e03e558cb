/** How many letters must be put in, left out, changed or swapped to make one text of the other. */
function distance(one: string, other: string): number {
  let before: number[] = []
  let row = Array.from({ length: other.length + 1 }, (_, i) => i)
  for (let i = 0; i < one.length; i += 1) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j += 1) {
      const changed = row[j]! + (one[i] === other[j] ? 0 : 1)
      const swapped = i > 0 && j > 0 && one[i] === other[j - 1] && one[i - 1] === other[j]
      const swap = swapped ? before[j - 1]! + 1 : changed
      next.push(Math.min(changed, swap, row[j + 1]! + 1, next[j]! + 1))
    }
    before = row
    row = next
  }
  return row[other.length]!
}

const nameMaxLength = 100
const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** The names that somebody who wrote `name` may have meant, nearest first; none if all are far. */
export function nearestNames(name: string, known: readonly string[]): string[] {
  if (name.length > nameMaxLength) return []
  const wanted = plain(name)
  const farthest = Math.max(1, Math.floor(wanted.length / 4))
  return known
    .map(candidate => {
      const other = plain(candidate)
      const begins = wanted.length >= 3 && other.startsWith(wanted)
      return {
        candidate,
        far: begins ? Math.min(1, distance(wanted, other)) : distance(wanted, other),
      }
    })
    .filter(({ far }) => far <= farthest)
    .sort((one, other) => one.far - other.far)
    .map(({ candidate }) => candidate)
}
