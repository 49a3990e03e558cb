import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { expect, it } from 'vitest'
import { createAuthority } from './certificates.ts'

const authority = createAuthority('Authority of tests')
const hosts = ['localhost', '127.0.0.1']

it('are valid for hosts and addresses, from one day ago to one year ahead', () => {
  const { cert, key } = authority.certify('broker', { hosts })
  const certificate = new X509Certificate(cert)
  const signer = new X509Certificate(authority.cert)
  expect(certificate).toMatchObject({
    subject: 'CN=broker',
    issuer: 'CN=Authority of tests',
    ca: false,
  })
  expect(signer.ca).toBe(true)
  expect(certificate.verify(signer.publicKey)).toBe(true)
  expect(certificate.checkIssued(signer)).toBe(true)
  expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true)
  expect(certificate.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1')
  expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now())
  expect(certificate.validToDate.getTime()).toBeGreaterThan(Date.now())
})

it.each([
  ['a trusted certificate', authority, { hosts }, null],
  ['an expired certificate', authority, { hosts, expired: true }, 'CERT_HAS_EXPIRED'],
  [
    'a certificate for another host',
    authority,
    { hosts: ['elsewhere'] },
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  [
    'a certificate of another authority',
    createAuthority('Foreign'),
    { hosts },
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ],
])('a TLS client checks %s', async (_, signer, options, code) => {
  const server = createServer(signer.certify('server', options), socket => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert })
  const outcome = once(socket, 'secureConnect').then(
    () => null,
    error => error.code,
  )
  expect(await outcome).toBe(code)
  socket.destroy()
  server.close()
})
