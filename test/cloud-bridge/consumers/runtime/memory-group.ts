import type { ConsumerGroup, Membership } from '../../../../cloud-bridge/ports/consumer-group.ts'

/** A group in memory with one member, which a test controls. */
export function createMemoryGroup() {
  let joined = Promise.withResolvers<Member>()
  type Member = ReturnType<typeof memberOf>
  const memberOf = (membership: Membership) => {
    const ended = Promise.withResolvers<void>()
    let assigned = new AbortController()
    const failing = <T>(work: Promise<T>, { signal }: AbortController) => {
      work.catch(error => {
        if (!signal.aborted) ended.reject(error)
      })
      return work
    }
    return {
      ended,
      /** Assigns partitions; resolves with the member's next offsets. */
      assign(partitions: readonly number[]) {
        assigned.abort()
        assigned = new AbortController()
        return failing(membership.onAssigned(partitions, assigned.signal), assigned)
      },
      deliver: (...[topic, records]: [string, Parameters<Membership['onRecords']>[1]]) =>
        failing(membership.onRecords(topic, records, assigned.signal), assigned),
      revoke: () => assigned.abort(),
      reportUnavailable: (reason: string) => membership.onUnavailable?.(reason),
    }
  }
  const group: ConsumerGroup = {
    async consume(membership, signal) {
      const member = memberOf(membership)
      signal.addEventListener('abort', () => member.ended.resolve())
      joined.resolve(member)
      try {
        await member.ended.promise
      } finally {
        // A real group detects the end of a member late.
        await new Promise(resolve => setImmediate(resolve))
        member.revoke()
      }
    },
  }
  return {
    group,
    /** The member that joined since the last call. */
    async member(): Promise<Member> {
      const member = await joined.promise
      joined = Promise.withResolvers()
      return member
    },
  }
}
