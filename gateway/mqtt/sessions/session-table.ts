/** A subscription as aedes stores it. */
export type Subscription = { topic: string; qos: number }

export type SessionLimits = {
  sessionsMax: number
  subscriptionsPerClientMax: number
  subscriptionsMax: number
}

/** A client as it subscribes; `clean`: its session ends with its connection. */
type Subscriber = { id: string; clean: boolean }

export type SessionTableOptions = {
  limits: SessionLimits
  isConnected(client: string): boolean
  /** Whether messages wait for the session of a client. */
  hasQueue(client: string): boolean
  /** Called when a bound is reached, with its key and what happens. */
  onBound(key: keyof SessionLimits, client: string, consequence: string): void
  /** Called when the session of a client is discarded. */
  onDiscarded(client: string): void
}

/**
 * Counts subscriptions and persistent sessions, and keeps them within their bounds. A session
 * counts while it has a subscription or a queue. A client at its own bound gets no further
 * subscription; a filter of many characters or levels counts as several. When there are too many
 * sessions, the session whose client is away for longest is discarded for a new session; when all
 * clients are connected, the new session gets no subscription.
 */
export function createSessionTable(options: SessionTableOptions) {
  const { limits, isConnected, hasQueue, onBound, onDiscarded } = options
  const filters = createFilterCount()
  /** The stored subscriptions of each session; the client that left last is the last. */
  const sessions = new Map<string, Map<string, Subscription>>()
  /** Subscriptions of sessions that `takeAdded` has not returned yet. */
  const added = new Map<string, Subscription[]>()

  const forget = (client: string) => {
    filters.removeAll(client)
    sessions.delete(client)
    added.delete(client)
  }
  const forgetIfEmpty = (client: string) => {
    if (filters.weightOf(client) === 0 && !hasQueue(client)) forget(client)
  }
  const hasRoomForSession = (client: string): boolean => {
    if (sessions.has(client) || sessions.size < limits.sessionsMax) return true
    const oldest = [...sessions.keys()].find(other => !isConnected(other))
    const consequence = oldest
      ? 'the session of the client that is away for longest is discarded'
      : 'a client with a persistent session gets no subscription'
    onBound('sessionsMax', oldest ?? client, consequence)
    if (!oldest) return false
    forget(oldest)
    onDiscarded(oldest)
    return true
  }
  const hasRoom = ({ id, clean }: Subscriber, filter: string): boolean => {
    const weight = weightOf(filter)
    const isClientFull = filters.weightOf(id) + weight > limits.subscriptionsPerClientMax
    const isFull = filters.weight + weight > limits.subscriptionsMax
    const key = isClientFull ? 'subscriptionsPerClientMax' : isFull ? 'subscriptionsMax' : null
    if (key) onBound(key, id, 'a client gets no further subscription')
    return !key && (clean || hasRoomForSession(id))
  }

  return {
    sessions: () => sessions.size,
    subscriptions: () => filters.count,
    /** Adds a subscription. Returns false when a bound refuses the subscription. */
    subscribe(client: Subscriber, { topic, qos }: Subscription): boolean {
      if (!filters.has(client.id, topic) && !hasRoom(client, topic)) return false
      filters.add(client.id, topic)
      if (client.clean) return true
      const stored = sessions.get(client.id) ?? new Map<string, Subscription>()
      if (stored.get(topic)?.qos === qos) return true
      sessions.set(client.id, stored.set(topic, { topic, qos }))
      added.set(client.id, [...(added.get(client.id) ?? []), { topic, qos }])
      return true
    },
    /** The subscriptions that were added to a session since the last call. */
    takeAdded(client: string): Subscription[] {
      const subscriptions = added.get(client) ?? []
      added.delete(client)
      return subscriptions
    },
    unsubscribe(client: string, topics: string[]): void {
      for (const topic of topics) {
        filters.remove(client, topic)
        sessions.get(client)?.delete(topic)
      }
      forgetIfEmpty(client)
    },
    /** The stored subscriptions of a session. */
    subscriptionsOf: (client: string): Subscription[] => [
      ...(sessions.get(client)?.values() ?? []),
    ],
    /** Makes the session of a client the one that is away for the shortest time. */
    leave(client: string): void {
      const stored = sessions.get(client)
      if (!stored) return
      sessions.delete(client)
      sessions.set(client, stored)
      forgetIfEmpty(client)
    },
    /** Removes the session of a client and all its subscriptions. */
    forget,
  }
}

/** The memory of a filter grows with its characters and its levels. */
const WEIGHED_CHARACTERS = 256
const WEIGHED_LEVELS = 10

/** As how many subscriptions a filter counts: a long or deep filter needs the memory of several. */
function weightOf(filter: string): number {
  const levels = filter.split('/').length
  return Math.ceil(Math.max(filter.length / WEIGHED_CHARACTERS, levels / WEIGHED_LEVELS))
}

/** The topic filters of each client, connected or with a session, with their number and weight. */
function createFilterCount() {
  const byClient = new Map<string, { filters: Set<string>; weight: number }>()
  let [count, weight] = [0, 0]
  return {
    get count() {
      return count
    },
    get weight() {
      return weight
    },
    weightOf: (client: string) => byClient.get(client)?.weight ?? 0,
    has: (client: string, filter: string) => byClient.get(client)?.filters.has(filter) ?? false,
    add(client: string, filter: string): void {
      const own = byClient.get(client) ?? { filters: new Set(), weight: 0 }
      if (own.filters.has(filter)) return
      byClient.set(client, own)
      own.filters.add(filter)
      own.weight += weightOf(filter)
      weight += weightOf(filter)
      count++
    },
    remove(client: string, filter: string): void {
      const own = byClient.get(client)
      if (!own?.filters.delete(filter)) return
      own.weight -= weightOf(filter)
      weight -= weightOf(filter)
      count--
    },
    removeAll(client: string): void {
      const own = byClient.get(client)
      if (!own) return
      count -= own.filters.size
      weight -= own.weight
      byClient.delete(client)
    },
  }
}
