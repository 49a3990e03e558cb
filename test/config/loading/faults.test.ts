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
const home = openConfigDir()
afterAll(() => home[Symbol.dispose]())

describe('a single fault', () => {
  it.each(faultCases)('%s', (_, yaml, fault) => {
    const faults = home.faultsOf(yaml)
    expect(faults).toHaveLength(1)
    expect(faults[0]!.slice(0, fault.length)).toBe(fault)
  })

  it('has a reason and a cure in every line', () => {
    for (const [, yaml] of faultCases) {
      for (const line of home.faultsOf(yaml)) expect(line).toMatch(/: .+\. .+/)
    }
  })
})

describe('a valid configuration', () => {
  it.each([
    ['loopback by name', 'gateway: { mqtt: { host: localhost } }'],
    ['loopback by another address', 'gateway: { mqtt: { host: 127.8.9.1 } }'],
    ['loopback of IPv6', 'gateway: { mqtt: { host: "::1" } }'],
    ['the network, when said so', 'gateway: { mqtt: { host: 0.0.0.0, allowAnonymous: true } }'],
    ['brokers', 'kafka: { brokers: ["a_b-c.d:1", "10.0.0.1:65535", "[::1]:9092"] }'],
    ['one port on two addresses', 'gateway: { mqtt: { port: 9464 }, http: { host: "::1" } }'],
    ['a registry', 'registry: { url: "https://[::1]:8081/apis/ccompat/v7", register: false }'],
    ['empty levels', routes('topic: "/{site}//{zone}/{device}/"')],
    ['constants', routes('topic: x, site: a, zone: b/c, device: d é')],
    [
      'a zone made of levels',
      routes('topic: "{site}/{area}/{room}/{device}", zone: "{area}/{room}"'),
    ],
    ['each zone in parts', routes('topic: "{site}/{zone}/{device}", zone: "{zone}/{device%1000}"')],
    [
      'a finer route first',
      routes('topic: "{site}/z7/{device}", zone: "z7/{device}"', 'topic: "{site}/{zone}/{device}"'),
    ],
    [
      'a narrower route first',
      routes('topic: "{site}/{zone}/d", device: d', 'topic: "{site}/{zone}/{device}"'),
    ],
  ])('%s', (_, yaml) => expect(home.faultsOf(yaml)).toEqual([]))
})

describe('a client certificate', () => {
  it('needs both of its files', () => {
    const authority = createAuthority('Authority of tests')
    const { cert, key } = authority.certify('gateway')
    const caFile = home.write('ca.pem', authority.cert)
    for (const [given, missing, text] of [
      ['certFile', 'keyFile', cert],
      ['keyFile', 'certFile', key],
    ] as const) {
      const yaml = `kafka:\n  tls: { caFile: ${caFile}, ${given}: ${home.write('own.pem', text)} }`
      expect(home.faultsOf(yaml)).toEqual([
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
    const faults = home.faultsOf(yaml, { SLUICE_X: '1', SLUICE_LOG_LEVEL: 'loud' })
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

  it('of syntax are reported with those of the environment', () => {
    const faults = home.faultsOf('log: "', { SLUICE_LOG_LEVEL: 'loud' })
    expect(faults.map(line => line.split(/[ :]/)[0])).toEqual(['sluice.yaml', 'log.level'])
  })

  it('leave out relations of a key that has a fault itself', () => {
    const yaml = 'gateway: { mqtt: { host: 0.0.0.0, allowAnonymous: 1 } }'
    expect(home.faultsOf(yaml)).toHaveLength(1)
  })

  it('never show more than a line of a value', () => {
    const [fault] = home.faultsOf(`gateway: { id: "${'é\\n'.repeat(5000)}" }`)
    expect(fault!.length).toBeLessThan(400)
  })
})

describe('a file that cannot be read', () => {
  const faultOf = (file: string) => {
    const loaded = loadConfig({ file, env: {} })
    return 'faults' in loaded ? describeFaults(loaded.faults) : ''
  }
  it.each([
    ['absent', () => `${home.dir}/absent.yaml`, 'does not exist'],
    ['a directory', () => home.dir, 'is a directory'],
    ['a device', () => '/dev/null', 'is not a regular file'],
    ['beneath a file', () => `${home.write('f', '')}/x`, 'is below a file that is not a'],
    ['too large', () => home.write('l', '#'.repeat(2_000_000)), 'is larger than 1048576 bytes'],
    ['not UTF-8', () => home.write('b', Uint8Array.of(0xff, 0xfe)), 'is not valid UTF-8'],
  ])('%s', (_, file, reason) => {
    const path = file()
    expect(faultOf(path)).toContain(`configuration file = "${path}": ${reason}`)
    expect(faultOf(path)).toContain('--config or SLUICE_CONFIG')
  })
})
