import { afterAll, describe, expect, it } from 'vitest'
import { describeFaults, loadConfig } from '../../../config/config.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { openConfigDir } from '../config-fixture.ts'
import { generalFaultCases, routes } from './fault-cases.ts'
import { laneFaultCases } from './lane-fault-cases.ts'
import { registryFaultCases } from './registry-fault-cases.ts'
import { zoneFaultCases } from './zone-fault-cases.ts'

const faultCases = [
  ...generalFaultCases,
  ...laneFaultCases,
  ...registryFaultCases,
  ...zoneFaultCases,
]
const configDir = openConfigDir()
afterAll(() => configDir[Symbol.dispose]())

describe('a single fault', () => {
  it.each(faultCases)('%s', (_, yaml, fault) => {
    const faults = configDir.faultsOf(yaml)
    expect(faults).toHaveLength(1)
    expect(faults[0]!.slice(0, fault.length)).toBe(fault)
  })

  it('is reported with a reason and a cure', () => {
    for (const [, yaml] of faultCases) {
      for (const line of configDir.faultsOf(yaml)) expect(line).toMatch(/: .+\. .+/)
    }
  })
})

describe('a valid configuration', () => {
  it.each([
    ['loopback by name', 'gateway: { mqtt: { host: localhost } }'],
    ['loopback by another address', 'gateway: { mqtt: { host: 127.8.9.1 } }'],
    ['loopback of IPv6', 'gateway: { mqtt: { host: "::1" } }'],
    [
      'the network with allowAnonymous',
      'gateway: { mqtt: { host: 0.0.0.0, allowAnonymous: true } }',
    ],
    ['brokers', 'kafka: { brokers: ["a_b-c.d:1", "10.0.0.1:65535", "[::1]:9092"] }'],
    ['one port on two addresses', 'gateway: { mqtt: { port: 9464 }, http: { host: "::1" } }'],
    ['a registry', 'registry: { url: "https://[::1]:8081/apis/ccompat/v7", register: false }'],
    ['empty levels', routes('topic: "/{site}//{zone}/{device}/"')],
    ['constants', routes('topic: x, site: a, zone: b/c, device: d é')],
    [
      'a zone of two levels',
      routes('topic: "{site}/{area}/{room}/{device}", zone: "{area}/{room}"'),
    ],
    [
      'each zone split into parts',
      routes('topic: "{site}/{zone}/{device}", zone: "{zone}/{device%1000}"'),
    ],
    [
      'a finer route first',
      routes('topic: "{site}/z7/{device}", zone: "z7/{device}"', 'topic: "{site}/{zone}/{device}"'),
    ],
    [
      'a narrower route first',
      routes('topic: "{site}/{zone}/d", device: d', 'topic: "{site}/{zone}/{device}"'),
    ],
  ])('%s', (_, yaml) => expect(configDir.faultsOf(yaml)).toEqual([]))
})

describe('a client certificate', () => {
  it('needs both of its files', () => {
    const authority = createAuthority('Authority of tests')
    const { cert, key } = authority.certify('gateway')
    const caFile = configDir.write('ca.pem', authority.cert)
    for (const [given, missing, text] of [
      ['certFile', 'keyFile', cert],
      ['keyFile', 'certFile', key],
    ] as const) {
      const ownFile = configDir.write('own.pem', text)
      const yaml = `kafka:\n  tls: { caFile: ${caFile}, ${given}: ${ownFile} }`
      expect(configDir.faultsOf(yaml)).toEqual([
        `kafka.tls.${given} = "own.pem": is set without kafka.tls.${missing}. ` +
          'Give both for a client certificate, or neither (line 2 of sluice.yaml)',
      ])
    }
  })
})

describe('all faults', () => {
  it('are reported at once', () => {
    const yaml = [
      'gateway: { mqtt: { port: x, host: 0.0.0.0 } }',
      'kafka: { brokers: [a], sasl: { mechanism: plain, passwordFile: absent } }',
      'wxyz: 1',
      'wxyz: 2',
      routes('topic: "{site}/+", formt: json', 'topic: "{site}"'),
    ].join('\n')
    const faults = configDir.faultsOf(yaml, { SLUICE_X: '1', SLUICE_LOG_LEVEL: 'loud' })
    expect(faults.map(line => line.split(/[ :]/)[0]).sort()).toEqual([
      'SLUICE_X',
      'gateway.mqtt.host',
      'gateway.mqtt.port',
      'ingest.routes[0].formt',
      'ingest.routes[0].topic',
      'ingest.routes[1].topic',
      'ingest.routes[1].topic',
      'kafka.brokers[0]',
      'kafka.sasl.passwordFile',
      'kafka.sasl.username',
      'log.level',
      'wxyz',
      'wxyz',
    ])
  })

  it('of the syntax are reported with the faults of the environment', () => {
    const faults = configDir.faultsOf('log: "', { SLUICE_LOG_LEVEL: 'loud' })
    expect(faults.map(line => line.split(/[ :]/)[0])).toEqual(['sluice.yaml', 'log.level'])
  })

  it('contain no relation of a key that has a fault itself', () => {
    const yaml = 'gateway: { mqtt: { host: 0.0.0.0, allowAnonymous: 1 } }'
    expect(configDir.faultsOf(yaml)).toHaveLength(1)
  })

  it('never show a long value in full', () => {
    const [fault] = configDir.faultsOf(`gateway: { id: "${'é\\n'.repeat(5000)}" }`)
    expect(fault!.length).toBeLessThan(400)
  })
})

describe('a file that cannot be read', () => {
  const faultOf = (file: string) => {
    const loaded = loadConfig({ file, env: {} })
    return 'faults' in loaded ? describeFaults(loaded.faults) : ''
  }
  it.each([
    ['absent', () => `${configDir.dir}/absent.yaml`, 'does not exist'],
    ['a directory', () => configDir.dir, 'is a directory'],
    ['a device', () => '/dev/null', 'is not a regular file'],
    ['beneath a file', () => `${configDir.write('f', '')}/x`, 'is below a file that is not a'],
    [
      'too large',
      () => configDir.write('l', '#'.repeat(2_000_000)),
      'is larger than 1048576 bytes',
    ],
    ['not UTF-8', () => configDir.write('b', Uint8Array.of(0xff, 0xfe)), 'is not valid UTF-8'],
  ])('%s', (_, file, reason) => {
    const path = file()
    expect(faultOf(path)).toContain(`configuration file = "${path}": ${reason}`)
    expect(faultOf(path)).toContain('--config or SLUICE_CONFIG')
  })
})
