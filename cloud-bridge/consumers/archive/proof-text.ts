import type { Proof } from './verify.ts'

const number = new Intl.NumberFormat('en-US')

/** What a verification came to, for an operator's eyes. */
export function proofText({ partitions, faults, remarks }: Proof): string {
  const lines = partitions.map(({ partition, files, events, keptFrom, ...head }) => {
    const letGo = keptFrom === null ? '' : `; what was committed before ${keptFrom} was let go`
    const many = `${number.format(files)} files, ${number.format(events)} events`
    return `partition ${partition}: ${many}${letGo}; line #${head.number} ${head.sha256}`
  })
  const isWhole = faults.length === 0
  return [
    ...lines,
    ...remarks.map(one => `left over: ${one}`),
    ...faults.map(one => `NOT AS COMMITTED: ${one}`),
    isWhole ? 'everything is as it was committed' : `${faults.length} not as committed`,
  ].join('\n')
}
