import { format, inspect } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createSecret } from '../../../config/loading/secrets.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { openConfigDir } from '../config-fixture.ts'

const configDir = openConfigDir()
afterAll(() => configDir[Symbol.dispose]())
const authority = createAuthority('Authority of tests')
const [trusted, signed] = [authority.cert, authority.certify('gateway')]
const damaged = trusted.replace(/\n(.)/, '\n!')
const hidden = 'hunter2'
const sasl = (keys: object) =>
  stringify({ kafka: { sasl: { mechanism: 'scram-sha-256', username: 'gw', ...keys } } })

describe('a secret', () => {
  it('is shown only by `reveal`', () => {
    const settings = { password: createSecret(hidden) }
    const renderings = [
      JSON.stringify(settings),
      inspect(settings, { depth: 9, showHidden: true }),
      format('%s %o %j', settings.password, settings, settings),
      `${settings.password}`,
      String(Object.entries(settings.password)),
    ]
    expect(renderings.join()).not.toContain(hidden)
    expect(JSON.stringify(settings)).toBe('{"password":"[secret]"}')
    expect(settings.password.reveal()).toBe(hidden)
  })
})

describe('secrets by file', () => {
  it.each([
    ['as it is', hidden, hidden],
    ['without its line break', `${hidden}\n`, hidden],
    ['without a Windows line break', `${hidden}\r\n`, hidden],
    ['with spaces and further line breaks', ` ${hidden} \n\n`, ` ${hidden} \n`],
  ])('are read %s', (_, content, password) => {
    const { kafka } = configDir.configOf(sasl({ passwordFile: configDir.write('p', content) }))
    expect(kafka.sasl?.password.reveal()).toBe(password)
    expect(JSON.stringify(kafka)).not.toContain(hidden)
  })

  it('are read for TLS too', () => {
    const { cert, key } = signed
    const files = { caFile: configDir.write('ca', trusted), certFile: configDir.write('crt', cert) }
    const tls = { ...files, keyFile: configDir.write('key', key) }
    const loaded = configDir.configOf(stringify({ kafka: { tls } })).kafka.tls
    expect([loaded?.ca, loaded?.cert, loaded?.key].map(part => part?.reveal())).toEqual(
      [trusted, cert, key].map(text => text.trimEnd()),
    )
    const caOnly = configDir.configOf(stringify({ kafka: { tls: { caFile: files.caFile } } })).kafka
      .tls
    expect(Object.keys(caOnly!)).toEqual(['caFile', 'ca'])
  })

  it('are read for the registry too', () => {
    const files = {
      passwordFile: configDir.write('p', hidden),
      caFile: configDir.write('ca', trusted),
    }
    const { registry } = configDir.configOf(stringify({ registry: { username: 'gw', ...files } }))
    expect([registry.password?.reveal(), registry.ca?.reveal()]).toEqual([
      hidden,
      trusted.trimEnd(),
    ])
    expect(JSON.stringify(registry)).not.toContain(hidden)
  })

  it.each([
    [
      'absent',
      () => `${configDir.dir}/absent`,
      'does not exist. Name a file that contains the password',
    ],
    [
      'empty',
      () => configDir.write('empty', '\n'),
      'is empty. Name a file that contains the password',
    ],
    ['a directory', () => configDir.dir, 'is a directory. Name a file that contains the password'],
    ['too large', () => configDir.write('large', 'x'.repeat(70_000)), 'is larger than 65536 bytes'],
  ])('are refused when the file is %s', (_, file, reason) => {
    const faults = configDir.faultsOf(sasl({ passwordFile: file() }))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(`: ${reason}`)
    expect(faults[0]).toMatch(/^kafka\.sasl\.passwordFile = ".+line 5 of sluice\.yaml/)
  })

  it.each([
    ['caFile', 'no PEM', 'contains no readable certificate in PEM format. Name a file that'],
    ['caFile', damaged, 'contains no readable certificate in PEM format'],
    ['certFile', signed.key, 'contains no readable certificate in PEM format'],
    ['keyFile', signed.cert, 'contains no private key without passphrase. Name a file that'],
  ])('are refused when %s has other content', (key, content, reason) => {
    const files = { caFile: trusted, certFile: signed.cert, keyFile: signed.key, [key]: content }
    const written = Object.entries(files).map(([name, text]) => [name, configDir.write(name, text)])
    const faults = configDir.faultsOf(stringify({ kafka: { tls: Object.fromEntries(written) } }))
    expect(faults).toEqual([expect.stringContaining(`kafka.tls.${key} = "${key}": ${reason}`)])
  })

  it('are in no fault, whichever key they are at', () => {
    const passwordFile = configDir.write('p', hidden)
    const kafka = { mechanism: 'x', passwordFile, password: hidden, [hidden.slice(0, 3)]: hidden }
    const faults = [
      ...configDir.faultsOf(sasl(kafka)),
      ...configDir.faultsOf(stringify({ kafka: { sasl: hidden, password: hidden } })),
      ...configDir.faultsOf(stringify({ kafak: { sasl: { password: hidden } } })),
      ...configDir.faultsOf(`kafka:\n  sasl: x\n  ${hidden}\n`),
      ...configDir.faultsOf('', { SLUICE_KAFKA_SASL_PASSWORD: hidden, SLUICE_TOKEN: hidden }),
      ...configDir.faultsOf('', { SLUICE_KAFKA_SASL: `{"password":"${hidden}"` }),
    ]
    expect(faults.length).toBeGreaterThan(8)
    expect(faults.join('\n')).not.toContain(hidden)
    expect(faults.join('\n')).toContain('kafka.sasl.password = [secret]')
    expect(faults.join('\n')).toContain('Did you mean SLUICE_KAFKA_SASL_PASSWORD_FILE?')
  })
})
