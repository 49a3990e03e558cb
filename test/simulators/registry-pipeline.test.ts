import { randomUUID } from 'node:crypto'
import { connectAsync } from 'mqtt'
import { expect, inject, it, vi } from 'vitest'
import { createRegistryClient } from '../../cloud-bridge/registry/registry.ts'
import { decodeEvent } from '../../config/event/sensor-reading.ts'
import { newestSchema } from '../../config/schemas/released.ts'
import { startStage } from '../../simulators/rehearse/stage/stage.ts'
import { tracedEvent } from '../config/event/events-fixture.ts'
import { cacheDir } from '../setup/kafka/java.ts'
import { readTopic, sharedKafka } from '../setup/kafka/kafka.ts'
import { describeWithRegistry, registryAt, startRegistryGate } from '../setup/registry/registry.ts'

/** Starts a stage in which only the bridge is configured with a registry. */
async function startStageWith(registryUrl: string, readings: string) {
  return startStage({
    simulation: { ratePerSecond: 500 },
    cacheDir,
    kafka: { brokers: inject('brokers'), topics: { readings } },
    env: process.env,
    extraEnv: {
      bridge: { SLUICE_REGISTRY_URL: registryUrl, SLUICE_KAFKA_CLOUD_EVENTS: 'true' },
    },
  })
}

describeWithRegistry('the whole pipeline with a registry', () => {
  it('is complete to a reader of Kafka without a registry; each value has the wire format', async () => {
    const readings = `registered-${randomUUID()}`
    await using gate = await startRegistryGate()
    gate.mode = 'cut'
    await using stage = await startStageWith(gate.url, readings)
    const { host, port } = stage.config.gateway.mqtt
    const client = await connectAsync(`mqtt://${host}:${port}`)
    const { traceparent } = tracedEvent
    const topic = 'building/hq/zone/traced/sensor/d'
    await client.publishAsync(topic, JSON.stringify({ co2: 4, traceparent }), { qos: 1 })
    await client.endAsync()
    await stage.devices.run(1000)
    // While the registry is down the gateway accepts everything; the bridge delivers when the
    // registry is back.
    const waits = async () => (await stage.states()).bridge?.kafka.events
    await vi.waitFor(async () => expect(await waits()).toContain('is unavailable: socket hang up'))
    gate.mode = 'pass'
    expect(await stage.drain()).toBe(0)
    const records = (await readTopic(sharedKafka(), readings)).flat()
    const ids = new Set(records.map(({ value }) => value.subarray(0, 5).toString('hex')))
    const known = await createRegistryClient(registryAt(gate.url)).schemasOf(`${readings}-value`)
    const ours = [...known].find(([, schema]) => JSON.stringify(schema) === newestSchema.text)!
    expect([...ids]).toEqual([ours[0].toString(16).padStart(10, '0')])
    const traced = records.filter(({ headers }) => headers.traceparent)
    expect(traced.map(({ headers }) => String(headers.traceparent))).toEqual([traceparent])
    expect(decodeEvent(traced[0]!.value)).toMatchObject({
      id: String(traced[0]!.headers.ce_id),
      traceparent,
      measurements: [{ metric: 'co2', number: 4 }],
    })
    expect(String(traced[0]!.headers.ce_subject)).toBe('traced')
    expect(await stage.judge()).toMatchObject({ verdict: 'complete', missing: 0, inversions: 0 })
  }, 90_000)
})
