/**
 * The edit distance of two texts: how many letters must be inserted, deleted, changed or swapped
 * with their neighbour.
 */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i += 1) {
    const row = [i + 1]
    for (let j = 0; j < b.length; j += 1) {
      const changed = last[j]! + (a[i] === b[j] ? 0 : 1)
      const isSwapped = i > 0 && j > 0 && a[i] === b[j - 1] && a[i - 1] === b[j]
      const swapped = isSwapped ? beforeLast[j - 1]! + 1 : changed
      row.push(Math.min(changed, swapped, last[j + 1]! + 1, row[j]! + 1))
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

const NAME_MAX_LENGTH = 100
const normalize = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/**
 * The known names for which `name` may be a misspelling, nearest first; empty when all names differ
 * too much.
 */
export function nearestNames(name: string, known: readonly string[]): string[] {
  if (name.length > NAME_MAX_LENGTH) return []
  const written = normalize(name)
  const distanceMax = Math.max(1, Math.floor(written.length / 4))
  return known
    .map(candidate => {
      const other = normalize(candidate)
      const isPrefix = written.length >= 3 && other.startsWith(written)
      const distance = editDistance(written, other)
      return { candidate, distance: isPrefix ? Math.min(1, distance) : distance }
    })
    .filter(({ distance }) => distance <= distanceMax)
    .sort((a, b) => a.distance - b.distance)
    .map(({ candidate }) => candidate)
}
