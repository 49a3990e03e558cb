import type { ConsumerGroup, Membership } from '../../../../cloud-bridge/ports/consumer-group.ts'

/** A group whose one member a test deals with: what it gets, and what it says. */
export function openMemoryGroup() {
  let joined = Promise.withResolvers<Member>()
  type Member = ReturnType<typeof memberOf>
  const memberOf = (membership: Membership) => {
    const over = Promise.withResolvers<void>()
    let assigned = new AbortController()
    const failing = <T>(work: Promise<T>, { signal }: AbortController) => {
      work.catch(error => {
        if (!signal.aborted) over.reject(error)
      })
      return work
    }
    return {
      over,
      /** What it has from now on; gives where it wants to go on. */
      assign(partitions: readonly number[]) {
        assigned.abort()
        assigned = new AbortController()
        return failing(membership.onAssigned(partitions, assigned.signal), assigned)
      },
      give: (...[topic, records]: [string, Parameters<Membership['onRecords']>[1]]) =>
        failing(membership.onRecords(topic, records, assigned.signal), assigned),
      revoke: () => assigned.abort(),
    }
  }
  const group: ConsumerGroup = {
    async consume(membership, signal) {
      const member = memberOf(membership)
      signal.addEventListener('abort', () => member.over.resolve())
      joined.resolve(member)
      try {
        await member.over.promise
      } finally {
        // A group notices late.
        await new Promise(resolve => setImmediate(resolve))
        member.revoke()
      }
    },
  }
  return {
    group,
    /** The member, when it has joined since it was last asked for. */
    async member(): Promise<Member> {
      const member = await joined.promise
      joined = Promise.withResolvers()
      return member
    },
  }
}
