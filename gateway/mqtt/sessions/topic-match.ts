type Node = { children: Map<string, Node>; isEnd: boolean; matchesRest: boolean }

const createNode = (): Node => ({ children: new Map(), isEnd: false, matchesRest: false })

/**
 * Returns a function that checks whether a topic name matches at least one of the topic filters
 * (MQTT 3.1.1, section 4.7). Its time depends on the levels of the topic and hardly on the number
 * of filters. A filter that begins with a wildcard matches no topic that begins with `$`
 * [MQTT-4.7.2-1].
 */
export function createTopicMatch(filters: string[]): (topic: string) => boolean {
  const root = createNode()
  for (const filter of filters) {
    let node = root
    const levels = filter.split('/')
    for (const level of levels) {
      if (level === '#') {
        node.matchesRest = true
        break
      }
      const next = node.children.get(level) ?? createNode()
      node.children.set(level, next)
      node = next
    }
    if (levels.at(-1) !== '#') node.isEnd = true
  }
  const matches = (node: Node, levels: string[], index: number): boolean => {
    const isReserved = index === 0 && levels[0]!.startsWith('$')
    if (node.matchesRest && !isReserved) return true
    if (index === levels.length) return node.isEnd
    const exact = node.children.get(levels[index]!)
    if (exact && matches(exact, levels, index + 1)) return true
    const any = isReserved ? undefined : node.children.get('+')
    return any !== undefined && matches(any, levels, index + 1)
  }
  return topic => matches(root, topic.split('/'), 0)
}
