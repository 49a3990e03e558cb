import { describeEventSink } from '../../contracts/event-sink.ts'
import { createMemorySink } from '../../contracts/memory-sink.ts'

describeEventSink('in memory', async () => {
  const tooLargeBytes = 1000
  const sink = createMemorySink(tooLargeBytes - 1)
  let topics = 0
  return {
    sink,
    tooLargeBytes,
    async topic(partitions) {
      const topic = `topic ${topics++}`
      sink.createTopic(topic, partitions)
      return topic
    },
    read: async topic => sink.topics.get(topic)!,
    breakDown: kind => {
      sink.broken = kind
    },
    stick: partition => {
      sink.stuck.add(partition)
    },
    repair: () => {
      sink.broken = null
      sink.stuck.clear()
    },
    [Symbol.asyncDispose]: async () => {},
  }
})
