import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { expect, it } from 'vitest'
import { createAuthority } from './certificates.ts'

const authority = createAuthority('Authority of tests')
const hosts = ['localhost', '127.0.0.1']

it('certifies for hosts and addresses, a day back and a year ahead', () => {
  const { cert, key } = authority.certify('broker', { hosts })
  const read = new X509Certificate(cert)
  const signer = new X509Certificate(authority.cert)
  expect(read).toMatchObject({ subject: 'CN=broker', issuer: 'CN=Authority of tests', ca: false })
  expect(signer.ca).toBe(true)
  expect(read.verify(signer.publicKey)).toBe(true)
  expect(read.checkIssued(signer)).toBe(true)
  expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true)
  expect(read.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1')
  expect(read.validFromDate.getTime()).toBeLessThan(Date.now())
  expect(read.validToDate.getTime()).toBeGreaterThan(Date.now())
})

it.each([
  ['is trusted', authority, { hosts }, null],
  ['has expired', authority, { hosts, expired: true }, 'CERT_HAS_EXPIRED'],
  ['is for another host', authority, { hosts: ['elsewhere'] }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['is foreign', createAuthority('Foreign'), { hosts }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
])('a server shows one that %s', async (_, signer, options, code) => {
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
