import { randomUUID } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import type { RegistryOptions } from '../../../cloud-bridge/registry/request.ts'
import { createSchemaIdLookup } from '../../../cloud-bridge/registry/schema-ids.ts'
import { newestSchema, releasedSchemas } from '../../../config/schemas/released.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { temporary } from '../../gateway/store/fixture.ts'
import {
  describeWithRegistry,
  registryAt,
  startRegistryGate,
} from '../../setup/registry/registry.ts'

const freshTopic = () => `readings-${randomUUID()}`
const first = releasedSchemas[0]!

/** A bridge's way to numbers, on a real inbox, through a gate to a real registry. */
async function startPlace() {
  const place = temporary()
  const gate = await startRegistryGate()
  const changed: string[] = []
  let inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
  const start = (more: Partial<RegistryOptions> = {}) => {
    const registry = createRegistryClient(registryAt(gate.url, more))
    return createSchemaIdLookup({ registry, inbox, onChanged: line => changed.push(line) })
  }
  return {
    gate,
    changed,
    start,
    /** The same in the next run of the bridge. */
    restart() {
      inbox.close()
      inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
      return start()
    },
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]()
      inbox.close()
      place[Symbol.dispose]()
    },
  }
}

describeWithRegistry('the numbers of schemas', () => {
  it('are asked for once a topic, the older ones first', async () => {
    await using place = await startPlace()
    const [idOf, topic] = [place.start(), freshTopic()]
    const id = await idOf(topic, newestSchema.fingerprint)
    expect(place.gate.asked).toEqual(
      releasedSchemas.map(() => `POST /subjects/${topic}-value/versions`),
    )
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).not.toBe(id)
    await idOf(`${topic}.backfill`, newestSchema.fingerprint)
    expect(place.gate.asked).toHaveLength(2 * releasedSchemas.length)
  })

  it('are known for weeks without a registry, and what is new waits for it', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const id = await place.start()(topic, newestSchema.fingerprint)
    place.gate.mode = 'cut'
    const idOf = place.restart()
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).toEqual(expect.any(Number))
    const other = freshTopic()
    await expect(idOf(other, newestSchema.fingerprint)).rejects.toThrow(
      'is unavailable: socket hang up',
    )
    place.gate.mode = 'pass'
    expect(await idOf(other, newestSchema.fingerprint)).toBe(id)
  })

  it('are those of a registry that was begun anew, once it says so', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const id = await place.start()(topic, newestSchema.fingerprint)
    const idOf = place.restart()
    place.gate.mode = { status: 200, body: '{"id":4711}' }
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    await vi.waitFor(() => expect(idOf(topic, newestSchema.fingerprint)).toBe(4711))
    expect(place.changed).toHaveLength(releasedSchemas.length)
    expect(place.changed.at(-1)).toBe(
      `SensorReading ${newestSchema.version} of ${topic}-value has id 4711 now, was ${id}`,
    )
    place.gate.mode = 'cut'
    expect(place.restart()(topic, newestSchema.fingerprint)).toBe(4711)
  })

  it('wait where a schema may only be looked up and is not there', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const idOf = place.start({ register: false })
    await expect(idOf(topic, newestSchema.fingerprint)).rejects.toThrow(
      'or set registry.register: true',
    )
    const registered = await createRegistryClient(registryAt(place.gate.url)).idOf(
      `${topic}-value`,
      newestSchema,
    )
    // The older one is not there, and nobody needs it.
    expect(await idOf(topic, newestSchema.fingerprint)).toBe(registered)
    await expect(idOf(topic, first.fingerprint)).rejects.toThrow('has no SensorReading 1 under')
  })

  it('are none for the schema of a newer program', async () => {
    await using place = await startPlace()
    const idOf = place.start()
    await expect(idOf(freshTopic(), Buffer.alloc(8, 1))).rejects.toThrow('start that version')
    expect(place.gate.asked).toEqual([])
  })
})
