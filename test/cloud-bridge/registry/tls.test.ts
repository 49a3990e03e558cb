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

/** The id of a schema under a new subject, or the message of the error. */
const fetchId = (url: string, ca?: string) =>
  createRegistryClient(registryAt(url, ca === undefined ? {} : { ca: createSecret(ca) }))
    .idOf(`readings-${randomUUID()}-value`, newestSchema)
    .catch((error: Error) =>
      error.message.replace(`the schema registry ${url} is unavailable: `, ''),
    )

describeWithRegistry('a schema registry behind TLS', () => {
  it('gives ids to clients that trust its authority', async () => {
    await using gate = await startRegistryGate({ certified: good })
    expect(await fetchId(gate.url, authority.cert)).toEqual(expect.any(Number))
    // A CA file may contain several certificates; the second one is the authority's.
    expect(await fetchId(gate.url, foreign.cert + authority.cert)).toEqual(expect.any(Number))
    const unknown =
      'unable to verify the first certificate. Name the authority of its certificate in registry.caFile'
    expect(await fetchId(gate.url, foreign.cert)).toBe(unknown)
    expect(await fetchId(gate.url)).toBe(unknown)
    expect(gate.requests).toHaveLength(2)
  })

  it('is refused while its certificate is invalid', async () => {
    const expired = authority.certify('registry', { hosts, expired: true })
    await using gate = await startRegistryGate({ certified: expired })
    expect(await fetchId(gate.url, authority.cert)).toBe(
      'certificate has expired. Renew its certificate, or set the clock',
    )
    gate.certified = authority.certify('registry', { hosts: ['elsewhere'] })
    expect(await fetchId(gate.url, authority.cert)).toMatch(
      /altnames.*\. Write the host name of its certificate in registry\.url$/,
    )
    gate.certified = foreign.certify('registry', { hosts })
    expect(await fetchId(gate.url, authority.cert)).toMatch(
      /\. Name the authority of its certificate in/,
    )
    expect(gate.requests).toEqual([])
    gate.certified = good
    expect(await fetchId(gate.url, authority.cert)).toEqual(expect.any(Number))
  })

  it('is reported where only one side uses TLS', async () => {
    await using plain = await startRegistryGate()
    expect(await fetchId(plain.url.replace('http:', 'https:'), authority.cert)).toMatch(
      /\. Write http:\/\/ in registry\.url if the registry has no TLS$/,
    )
    await using gate = await startRegistryGate({ certified: good })
    expect(await fetchId(gate.url.replace('https:', 'http:'))).toMatch(
      /\. Write https:\/\/ in registry\.url if the registry has TLS$/,
    )
  })
})
