import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KafkaOptions } from '../../../cloud-bridge/kafka/client.ts'
import { findFreePort } from '../../../simulators/kafka/free-port.ts'
import { type LocalKafka, startLocalKafka } from '../../../simulators/kafka/local-kafka.ts'
import { type FaultProxy, startFaultProxy } from '../../faults/proxy.ts'
import { cacheDir } from './java.ts'
import { kafkaAt } from './kafka.ts'
import { waitForProducerIds } from './producer-ids.ts'

/** A Kafka that a test may kill and suspend, reachable directly and through a proxy. */
export type ProxiedKafka = AsyncDisposable & {
  kafka: LocalKafka
  proxy: FaultProxy
  /** Without the proxy, for checks. */
  direct: KafkaOptions
  /** Through the proxy, with a short request timeout. */
  proxied: KafkaOptions
}

/** Short, so that a lost response costs little time. */
const REQUEST_TIMEOUT_MS = 1000

/** Resolves when Kafka and proxy are ready. */
export async function startProxiedKafka(): Promise<ProxiedKafka> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-test-kafka-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const port = await findFreePort()
  const proxy = stack.use(await startFaultProxy({ port: await findFreePort(), broker: port }))
  const listener = {
    name: 'PROXIED',
    port,
    protocol: 'PLAINTEXT',
    advertisedPort: proxy.port,
  } as const
  const kafka = stack.use(await startLocalKafka({ dir, port: 0, cacheDir, listeners: [listener] }))
  await waitForProducerIds(kafka.brokers)
  const parts = stack.move()
  return {
    kafka,
    proxy,
    direct: kafkaAt(kafka.brokers),
    proxied: kafkaAt([`127.0.0.1:${proxy.port}`], REQUEST_TIMEOUT_MS),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}
