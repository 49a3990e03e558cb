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

/** A schema id lookup on a real inbox, through a gate to a real registry. */
async function startLookup() {
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
    /** Starts again on the same inbox, like the next run of the bridge. */
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

describeWithRegistry('the ids of schemas', () => {
  it('are requested once per topic, older schemas first', async () => {
    await using lookup = await startLookup()
    const [idOf, topic] = [lookup.start(), freshTopic()]
    const id = await idOf(topic, newestSchema.fingerprint)
    expect(lookup.gate.requests).toEqual(
      releasedSchemas.map(() => `POST /subjects/${topic}-value/versions`),
    )
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).not.toBe(id)
    await idOf(`${topic}.backfill`, newestSchema.fingerprint)
    expect(lookup.gate.requests).toHaveLength(2 * releasedSchemas.length)
  })

  it('are known without a registry after a restart; unknown ids wait for the registry', async () => {
    await using lookup = await startLookup()
    const topic = freshTopic()
    const id = await lookup.start()(topic, newestSchema.fingerprint)
    lookup.gate.mode = 'cut'
    const idOf = lookup.restart()
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).toEqual(expect.any(Number))
    const other = freshTopic()
    await expect(idOf(other, newestSchema.fingerprint)).rejects.toThrow(
      'is unavailable: socket hang up',
    )
    lookup.gate.mode = 'pass'
    expect(await idOf(other, newestSchema.fingerprint)).toBe(id)
  })

  it('change when a rebuilt registry gives other ids', async () => {
    await using lookup = await startLookup()
    const topic = freshTopic()
    const id = await lookup.start()(topic, newestSchema.fingerprint)
    const idOf = lookup.restart()
    lookup.gate.mode = { status: 200, body: '{"id":4711}' }
    expect(idOf(topic, newestSchema.fingerprint)).toBe(id)
    await vi.waitFor(() => expect(idOf(topic, newestSchema.fingerprint)).toBe(4711))
    expect(lookup.changed).toHaveLength(releasedSchemas.length)
    const schema = `SensorReading ${newestSchema.version} of ${topic}-value`
    expect(lookup.changed.at(-1)).toBe(
      `the schema registry gives id 4711 for ${schema} now, before ${id}`,
    )
    lookup.gate.mode = 'cut'
    expect(lookup.restart()(topic, newestSchema.fingerprint)).toBe(4711)
  })

  it('wait for a schema that may only be looked up and is not registered', async () => {
    await using lookup = await startLookup()
    const topic = freshTopic()
    const idOf = lookup.start({ register: false })
    await expect(idOf(topic, newestSchema.fingerprint)).rejects.toThrow(
      'or set registry.register: true',
    )
    const registered = await createRegistryClient(registryAt(lookup.gate.url)).idOf(
      `${topic}-value`,
      newestSchema,
    )
    // The older schema is not registered, and no event needs it.
    expect(await idOf(topic, newestSchema.fingerprint)).toBe(registered)
    await expect(idOf(topic, first.fingerprint)).rejects.toThrow('has no SensorReading 1 under')
  })

  it('are missing for the schema of a newer program', async () => {
    await using lookup = await startLookup()
    const idOf = lookup.start()
    await expect(idOf(freshTopic(), Buffer.alloc(8, 1))).rejects.toThrow(
      'upgrade this program to that version',
    )
    expect(lookup.gate.requests).toEqual([])
  })
})
