import { afterAll, beforeAll } from 'vitest'
import { describeEventSink } from '../../contracts/event-sink.ts'
import { api, type Frame } from '../../faults/framing.ts'
import { partitionsIn } from '../../faults/produce-request.ts'
import { clients, describeWithKafka, freshTopic, openSink, readTopic } from '../../setup/kafka.ts'
import { type ProxiedKafka, startProxiedKafka } from '../../setup/proxied-kafka.ts'

describeWithKafka('on a real Kafka', () => {
  let on: ProxiedKafka
  beforeAll(async () => {
    on = await startProxiedKafka()
  })
  afterAll(() => on?.[Symbol.asyncDispose]())

  for (const client of clients) {
    describeEventSink(`on ${client}`, async () => {
      const sink = await openSink({ ...on.proxied, client })
      return {
        sink,
        tooLargeBytes: 1_100_000,
        topic: partitions => freshTopic(on.direct, partitions),
        read: topic => readTopic(on.direct, topic),
        breakDown(how) {
          if (how === 'nothing arrives') on.proxy.refuse()
          else on.proxy.judge({ responses: frame => (frame.api === api.produce ? 'cut' : 'pass') })
        },
        stick(partition) {
          const isForIt = (frame: Frame) =>
            frame.api === api.produce && partitionsIn(frame).includes(partition)
          on.proxy.judge({ requests: frame => (isForIt(frame) ? 'cut' : 'pass') })
        },
        repair: () => on.proxy.heal(),
        async [Symbol.asyncDispose]() {
          await sink[Symbol.asyncDispose]()
          on.proxy.heal()
        },
      }
    })
  }
})
