import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { createRegistryClient } from '../../../cloud-bridge/registry/registry.ts'
import { createSecret } from '../../../config/loading/secrets.ts'
import { newestSchema } from '../../../config/schemas/released.ts'
import { createAuthority } from '../../setup/certificates.ts'
import {
  describeWithRegistry,
  registryAt,
  startRegistryGate,
} from '../../setup/registry/registry.ts'

const hosts = ['127.0.0.1']
const authority = createAuthority('Authority of tests')
const good = authority.certify('registry', { hosts })
const foreign = createAuthority('Foreign')

/** The number of a schema under a new subject, or what keeps us from it. */
const ask = (url: string, ca?: string) =>
  createRegistryClient(registryAt(url, ca === undefined ? {} : { ca: createSecret(ca) }))
    .idOf(`readings-${randomUUID()}-value`, newestSchema)
    .catch((error: Error) =>
      error.message.replace(`the schema registry ${url} is unavailable: `, ''),
    )

describeWithRegistry('a schema registry behind TLS', () => {
  it('gives numbers to who trusts the one that signed its certificate', async () => {
    await using gate = await startRegistryGate({ certified: good })
    expect(await ask(gate.url, authority.cert)).toEqual(expect.any(Number))
    // Of several in the file, any may have signed.
    expect(await ask(gate.url, foreign.cert + authority.cert)).toEqual(expect.any(Number))
    const unknown =
      'unable to verify the first certificate. Name the authority of its certificate in registry.caFile'
    expect(await ask(gate.url, foreign.cert)).toBe(unknown)
    expect(await ask(gate.url)).toBe(unknown)
    expect(gate.asked).toHaveLength(2)
  })

  it('is told by a certificate that is not good, and goes on when it is', async () => {
    const expired = authority.certify('registry', { hosts, expired: true })
    await using gate = await startRegistryGate({ certified: expired })
    expect(await ask(gate.url, authority.cert)).toBe(
      'certificate has expired. Renew its certificate, or set the clock',
    )
    gate.certified = authority.certify('registry', { hosts: ['elsewhere'] })
    expect(await ask(gate.url, authority.cert)).toMatch(
      /altnames.*\. Write the host name of its certificate in registry\.url$/,
    )
    gate.certified = foreign.certify('registry', { hosts })
    expect(await ask(gate.url, authority.cert)).toMatch(
      /\. Name the authority of its certificate in/,
    )
    expect(gate.asked).toEqual([])
    gate.certified = good
    expect(await ask(gate.url, authority.cert)).toEqual(expect.any(Number))
  })

  it('is told where one side speaks TLS and the other does not', async () => {
    await using plain = await startRegistryGate()
    expect(await ask(plain.url.replace('http:', 'https:'), authority.cert)).toMatch(
      /\. Write http:\/\/ in registry\.url if the registry has no TLS$/,
    )
    await using gate = await startRegistryGate({ certified: good })
    expect(await ask(gate.url.replace('https:', 'http:'))).toMatch(
      /\. Write https:\/\/ in registry\.url if the registry has TLS$/,
    )
  })
})
