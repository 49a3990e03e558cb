import { randomUUID } from 'node:crypto'
import { expect, it, vi } from 'vitest'
import { openRegistry } from '../../../cloud-bridge/registry/registry.ts'
import type { RegistryOptions } from '../../../cloud-bridge/registry/request.ts'
import { startSchemaIds } from '../../../cloud-bridge/registry/schema-ids.ts'
import { newest, schemas } from '../../../config/schemas/released.ts'
import { openInbox } from '../../../gateway/store/inbox.ts'
import { temporary } from '../../gateway/store/fixture.ts'
import { describeWithRegistry, registryAt, startGate } from '../../setup/registry/registry.ts'

const freshTopic = () => `readings-${randomUUID()}`
const first = schemas[0]!

/** A bridge's way to numbers, on a real inbox, through a gate to a real registry. */
async function startPlace() {
  const place = temporary()
  const gate = await startGate()
  const changed: string[] = []
  let inbox = openInbox({ file: place.file('inbox.db'), settleMs: 1 })
  const start = (more: Partial<RegistryOptions> = {}) => {
    const registry = openRegistry(registryAt(gate.url, more))
    return startSchemaIds({ registry, inbox, onChanged: line => changed.push(line) })
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
    const id = await idOf(topic, newest.fingerprint)
    expect(place.gate.asked).toEqual(schemas.map(() => `POST /subjects/${topic}-value/versions`))
    expect(idOf(topic, newest.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).not.toBe(id)
    await idOf(`${topic}.backfill`, newest.fingerprint)
    expect(place.gate.asked).toHaveLength(2 * schemas.length)
  })

  it('are known for weeks without a registry, and what is new waits for it', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const id = await place.start()(topic, newest.fingerprint)
    place.gate.mode = 'cut'
    const idOf = place.restart()
    expect(idOf(topic, newest.fingerprint)).toBe(id)
    expect(idOf(topic, first.fingerprint)).toEqual(expect.any(Number))
    const other = freshTopic()
    await expect(idOf(other, newest.fingerprint)).rejects.toThrow('is away: socket hang up')
    place.gate.mode = 'pass'
    expect(await idOf(other, newest.fingerprint)).toBe(id)
  })

  it('are those of a registry that was begun anew, once it says so', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const id = await place.start()(topic, newest.fingerprint)
    const idOf = place.restart()
    place.gate.mode = { status: 200, body: '{"id":4711}' }
    expect(idOf(topic, newest.fingerprint)).toBe(id)
    await vi.waitFor(() => expect(idOf(topic, newest.fingerprint)).toBe(4711))
    expect(place.changed).toHaveLength(schemas.length)
    expect(place.changed.at(-1)).toBe(
      `SensorReading ${newest.version} of ${topic}-value is 4711 there now, not ${id}`,
    )
    place.gate.mode = 'cut'
    expect(place.restart()(topic, newest.fingerprint)).toBe(4711)
  })

  it('wait where a schema may only be looked up and is not there', async () => {
    await using place = await startPlace()
    const topic = freshTopic()
    const idOf = place.start({ register: false })
    await expect(idOf(topic, newest.fingerprint)).rejects.toThrow('or set registry.register: true')
    const registered = await openRegistry(registryAt(place.gate.url)).idOf(`${topic}-value`, newest)
    // The older one is not there, and nobody needs it.
    expect(await idOf(topic, newest.fingerprint)).toBe(registered)
    await expect(idOf(topic, first.fingerprint)).rejects.toThrow('has no SensorReading 1 under')
  })

  it('are none for the schema of a newer program', async () => {
    await using place = await startPlace()
    const idOf = place.start()
    await expect(idOf(freshTopic(), Buffer.alloc(8, 1))).rejects.toThrow('start the newer one')
    expect(place.gate.asked).toEqual([])
  })
})
