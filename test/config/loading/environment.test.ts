import { afterAll, describe, expect, it } from 'vitest'
import { defaults } from '../../../config/config.ts'
import { variableOf } from '../../../config/loading/environment.ts'
import { configKeys } from '../../../config/loading/keys.ts'
import { openConfigDir } from '../config-fixture.ts'

const configDir = openConfigDir()
afterAll(() => configDir[Symbol.dispose]())
const config = (env: Record<string, string>) => configDir.configOf('', env)
const faults = (env: Record<string, string>) => configDir.faultsOf('', env)

describe('overrides', () => {
  it('have the name of the path in capitals', () => {
    expect(variableOf(['outbox', 'commitWindowMs'])).toBe('SLUICE_OUTBOX_COMMIT_WINDOW_MS')
    const qos2 = ['gateway', 'mqtt', 'qos2InFlightMax']
    expect(variableOf(qos2)).toBe('SLUICE_GATEWAY_MQTT_QOS2_IN_FLIGHT_MAX')
    expect(new Set(configKeys.map(({ path }) => variableOf(path))).size).toBe(configKeys.length)
  })

  it('set numbers, texts, flags and choices', () => {
    const { gateway, kafka } = config({
      SLUICE_GATEWAY_MQTT_PORT: '1884',
      SLUICE_GATEWAY_ID: '007',
      SLUICE_GATEWAY_MQTT_ALLOW_ANONYMOUS: 'true',
      SLUICE_KAFKA_COMPRESSION: 'none',
      SLUICE_KAFKA_TOPICS_READINGS: 'r',
    })
    expect(gateway.mqtt).toMatchObject({ port: 1884, allowAnonymous: true })
    expect([gateway.id, kafka.compression, kafka.topics.readings]).toEqual(['007', 'none', 'r'])
  })

  it('set lists, separated by commas', () => {
    const brokers = (text: string) => config({ SLUICE_KAFKA_BROKERS: text }).kafka.brokers
    expect(brokers('a:9092, b:9092')).toEqual(['a:9092', 'b:9092'])
    expect(brokers('')).toEqual([])
  })

  it('set nullable keys', () => {
    expect(config({ SLUICE_KAFKA_PARTITIONS: '12' }).kafka.partitions).toBe(12)
    const yaml = 'kafka: { partitions: 5, tls: { caFile: absent } }'
    const { kafka } = configDir.configOf(yaml, {
      SLUICE_KAFKA_PARTITIONS: 'null',
      SLUICE_KAFKA_TLS: 'null',
    })
    expect([kafka.partitions, kafka.tls]).toEqual([null, null])
  })

  it('set structures as JSON, and override keys within structures', () => {
    const routes = [{ topic: 'a/{zone}/{device}', format: 'json', site: 'hq' }]
    expect(config({ SLUICE_INGEST_ROUTES: JSON.stringify(routes) }).ingest.routes).toEqual(routes)
    const passwordFile = configDir.write('password', 'pw')
    const { sasl } = config({
      SLUICE_KAFKA_SASL_USERNAME: 'b',
      SLUICE_KAFKA_SASL: JSON.stringify({ mechanism: 'plain', username: 'a', passwordFile }),
    }).kafka
    expect(sasl).toMatchObject({ mechanism: 'plain', username: 'b', passwordFile })
  })

  it('ignore the names that main.ts reads, and names without the prefix', () => {
    expect(config({ SLUICE_CONFIG: 'x', SLUICE_CACHE: 'y', PATH: 'z', SLUICES: '1' })).toEqual(
      defaults,
    )
  })
})

describe('faults of overrides', () => {
  it.each([
    [
      'SLUICE_GATEWAY_MQTT_PORT',
      '99999',
      'gateway.mqtt.port = 99999: must be at most 65535. Choose a port between 1 and 65535 ' +
        '(environment variable SLUICE_GATEWAY_MQTT_PORT)',
    ],
    ['SLUICE_GATEWAY_MQTT_PORT', '1e3', 'gateway.mqtt.port = "1e3": must be a whole number, not'],
    ['SLUICE_GATEWAY_MQTT_PORT', '', 'gateway.mqtt.port = "": must be a whole number, not text'],
    ['SLUICE_GATEWAY_MQTT_PORT', '1.5', 'gateway.mqtt.port = 1.5: must be a whole number. Choose'],
    [
      'SLUICE_GATEWAY_MQTT_ALLOW_ANONYMOUS',
      '1',
      'gateway.mqtt.allowAnonymous = "1": must be true or false, not text. Write true or false',
    ],
    ['SLUICE_KAFKA_BROKERS', 'a:1,,b:1', 'kafka.brokers[1] = "": is not host:port.'],
    ['SLUICE_INGEST_ROUTES', '[{', 'ingest.routes = "[{": is not valid JSON. Write the value as'],
    ['SLUICE_INGEST_ROUTES', '3', 'ingest.routes = 3: must be a list, not 3. Write a list'],
    ['SLUICE_KAFKA_BROKER', 'a:1', 'SLUICE_KAFKA_BROKER = "a:1": overrides no known key. Did you'],
    ['SLUICE_GATEWAY_MQTT', '{}', 'SLUICE_GATEWAY_MQTT = "{}": overrides no known key. Did you'],
    ['SLUICE_WXYZ', '1', 'SLUICE_WXYZ = "1": overrides no known key. Unset it (environment)'],
    ['SLUICE_PORT', 'tcp://10.0.0.1:1', 'SLUICE_PORT = "tcp://10.0.0.1:1": overrides no known'],
  ])('%s=%s', (name, text, fault) => {
    const reported = faults({ [name]: text })
    expect(reported).toHaveLength(1)
    expect(reported[0]!.slice(0, fault.length)).toBe(fault)
  })

  it('name both places when the two values are in the file and in the environment', () => {
    const env = { SLUICE_OUTBOX_FILE: 'x.db' }
    expect(configDir.faultsOf('inbox:\n  file: x.db', env)[0]).toContain(
      '(line 2 of sluice.yaml, environment variable SLUICE_OUTBOX_FILE)',
    )
  })
})
