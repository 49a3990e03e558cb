import { format, inspect } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createSecret } from '../../../config/loading/secrets.ts'
import { createAuthority } from '../../setup/certificates.ts'
import { openConfigDir } from '../config-fixture.ts'

const home = openConfigDir()
afterAll(() => home[Symbol.dispose]())
const authority = createAuthority('Authority of tests')
const [trusted, signed] = [authority.cert, authority.certify('gateway')]
const damaged = trusted.replace(/\n(.)/, '\n!')
const hidden = 'hunter2'
const sasl = (keys: object) =>
  stringify({ kafka: { sasl: { mechanism: 'scram-sha-256', username: 'gw', ...keys } } })

describe('a secret', () => {
  it('is shown by `reveal` only', () => {
    const settings = { password: createSecret(hidden) }
    const shown = [
      JSON.stringify(settings),
      inspect(settings, { depth: 9, showHidden: true }),
      format('%s %o %j', settings.password, settings, settings),
      `${settings.password}`,
      String(Object.entries(settings.password)),
    ]
    expect(shown.join()).not.toContain(hidden)
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
    const { kafka } = home.configOf(sasl({ passwordFile: home.write('p', content) }))
    expect(kafka.sasl?.password.reveal()).toBe(password)
    expect(JSON.stringify(kafka)).not.toContain(hidden)
  })

  it('are read for TLS too', () => {
    const { cert, key } = signed
    const files = { caFile: home.write('ca', trusted), certFile: home.write('crt', cert) }
    const tls = { ...files, keyFile: home.write('key', key) }
    const read = home.configOf(stringify({ kafka: { tls } })).kafka.tls
    expect([read?.ca, read?.cert, read?.key].map(part => part?.reveal())).toEqual(
      [trusted, cert, key].map(text => text.trimEnd()),
    )
    const alone = home.configOf(stringify({ kafka: { tls: { caFile: files.caFile } } })).kafka.tls
    expect(Object.keys(alone!)).toEqual(['caFile', 'ca'])
  })

  it('are read for the registry too', () => {
    const files = { passwordFile: home.write('p', hidden), caFile: home.write('ca', trusted) }
    const { registry } = home.configOf(stringify({ registry: { username: 'gw', ...files } }))
    expect([registry.password?.reveal(), registry.ca?.reveal()]).toEqual([
      hidden,
      trusted.trimEnd(),
    ])
    expect(JSON.stringify(registry)).not.toContain(hidden)
  })

  it.each([
    [
      'absent',
      () => `${home.dir}/absent`,
      'does not exist. Name a file that contains the password',
    ],
    ['empty', () => home.write('empty', '\n'), 'is empty. Name a file that contains the password'],
    ['a directory', () => home.dir, 'is a directory. Name a file that contains the password'],
    ['too large', () => home.write('large', 'x'.repeat(70_000)), 'is larger than 65536 bytes'],
  ])('are refused when the file is %s', (_, file, reason) => {
    const faults = home.faultsOf(sasl({ passwordFile: file() }))
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
    const written = Object.entries(files).map(([name, text]) => [name, home.write(name, text)])
    const faults = home.faultsOf(stringify({ kafka: { tls: Object.fromEntries(written) } }))
    expect(faults).toEqual([expect.stringContaining(`kafka.tls.${key} = "${key}": ${reason}`)])
  })

  it('are in no fault, at any misplaced key', () => {
    const passwordFile = home.write('p', hidden)
    const kafka = { mechanism: 'x', passwordFile, password: hidden, [hidden.slice(0, 3)]: hidden }
    const faults = [
      ...home.faultsOf(sasl(kafka)),
      ...home.faultsOf(stringify({ kafka: { sasl: hidden, password: hidden } })),
      ...home.faultsOf(stringify({ kafak: { sasl: { password: hidden } } })),
      ...home.faultsOf(`kafka:\n  sasl: x\n  ${hidden}\n`),
      ...home.faultsOf('', { SLUICE_KAFKA_SASL_PASSWORD: hidden, SLUICE_TOKEN: hidden }),
      ...home.faultsOf('', { SLUICE_KAFKA_SASL: `{"password":"${hidden}"` }),
    ]
    expect(faults.length).toBeGreaterThan(8)
    expect(faults.join('\n')).not.toContain(hidden)
    expect(faults.join('\n')).toContain('kafka.sasl.password = [secret]')
    expect(faults.join('\n')).toContain('Did you mean SLUICE_KAFKA_SASL_PASSWORD_FILE?')
  })
})
