import assert from 'node:assert/strict'
import type { GatewayProcess } from '../../../setup/gateway-process.ts'
import {
  type ConnectFields,
  connectOf,
  openClient,
  openSocket,
  type Received,
  sensorTopic,
  subscribeOf,
  type TestClient,
  unique,
} from './client.ts'

/**
 * Sends bytes on a connected client. The gateway must close the connection, send nothing, and
 * store nothing.
 */
export async function refuses(gateway: GatewayProcess, ...packets: Buffer[]): Promise<void> {
  for (const bytes of packets) {
    using client = await openClient(gateway)
    const before = await gateway.messageCount()
    client.send(bytes)
    const received = await client.untilClosed()
    assert.deepEqual(received, [], `${bytes.toString('hex')} has an answer`)
    assert.equal(await gateway.messageCount(), before, `${bytes.toString('hex')} was stored`)
  }
  assert.ok(gateway.isRunning, 'the gateway ended')
}

/** Sends CONNECT packets, each on its own connection. Each must be closed without CONNACK. */
export async function refusesConnect(gateway: GatewayProcess, ...given: ConnectFields[]) {
  for (const fields of given) {
    assert.deepEqual(await answersTo(gateway, connectOf(fields)), [], JSON.stringify(fields))
  }
}

/** Sends bytes on a new connection and returns what arrives before the gateway closes it. */
export async function answersTo(gateway: GatewayProcess, ...packets: Buffer[]) {
  using client = await openSocket(gateway)
  client.send(...packets)
  return await client.untilClosed()
}

/** Checks that the answers are CONNACK with a return code, and then the end of the connection. */
export async function isRefusedWith(code: number, answers: ReturnType<typeof answersTo>) {
  const found = (await answers).map(({ type, body }) => [type, ...body])
  assert.deepEqual(found, [['connack', 0, code]])
}

/** Opens a session with a subscription; its client is not connected afterwards. */
export async function openSession(gateway: GatewayProcess, qos = 1) {
  const session = { id: unique('c'), clean: false, topic: unique('t/') }
  const client = await openClient(gateway, session)
  await client.subscribe([[session.topic, qos]])
  await client.disconnect()
  return session
}

/** Publishes messages of a QoS on a topic, one after the other. */
export async function publishAll(
  gateway: GatewayProcess,
  topic: string,
  qos: number,
  all: string[],
): Promise<void> {
  using publisher = await openClient(gateway)
  let id = 0
  for (const payload of all) await publisher.publish({ topic, payload, id: ++id, qos })
}

/**
 * The PUBLISH packets that a subscriber has received, up to a message that another client
 * publishes now.
 */
export async function received(
  gateway: GatewayProcess,
  subscriber: TestClient,
): Promise<Received[]> {
  const topic = unique('end/')
  subscriber.send(subscribeOf([[topic, 0]], END_ID))
  using publisher = await openClient(gateway)
  const messages: Received[] = []
  for (;;) {
    const packet = await subscriber.next()
    assert.ok(packet, 'the connection of the subscriber was closed')
    if (packet.type === 'suback' && packet.id === END_ID) {
      // QoS 1 messages pass the disk, so the last one passes it too.
      await publisher.publish({ topic, payload: '1', qos: 1 })
    } else if (packet.type === 'publish' && packet.topic === topic) break
    else if (packet.type === 'publish') messages.push(packet)
  }
  return messages
}
const END_ID = 65_535

/** The payloads of messages, in order. */
export const payloads = (messages: Received[]) => messages.map(({ payload }) => payload)

/** The topics of stored events and dead letters that contain `part`. */
export function storedTopics(gateway: GatewayProcess, part: string): string[] {
  const events = gateway.stored().map(({ source }) => source.topic)
  const dead = gateway.deadLetters().map(({ topic }) => topic)
  return [...events, ...dead].filter(topic => topic.includes(part))
}

/** Waits until a subscriber with this will topic has received a message; returns the message. */
export async function willOf(
  gateway: GatewayProcess,
  end: (client: TestClient) => unknown,
  fields: Partial<NonNullable<ConnectFields['will']>> &
    Pick<ConnectFields, 'id' | 'keepAliveS'> = {},
): Promise<{ topic: string; message: Received }> {
  const { id = unique('w'), keepAliveS = 0, ...will } = fields
  const topic = sensorTopic()
  using watcher = await openClient(gateway)
  await watcher.subscribe([[topic, 2]])
  using client = await openClient(gateway, { id, keepAliveS, will: { topic, ...will } })
  await end(client)
  return { topic, message: await watcher.expect('publish') }
}
