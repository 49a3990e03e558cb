// Certificates (RFC 5280) for tests, made here because a clone has no openssl, keytool gives no
// private key away, and a library for it would be larger than these lines.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import * as der from './der.ts'

const DAY_MS = 86_400_000
const COMMON_NAME = '2.5.4.3'
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const BASIC_CONSTRAINTS = '2.5.29.19'
const SUBJECT_ALT_NAME = '2.5.29.17'

/** A certificate and the private key to it, both PEM. */
export type Certified = { cert: string; key: string }

/** Who signs certificates; its own is signed by itself. */
export type Authority = {
  cert: string
  /** Makes a certificate for `name` that is valid for `hosts` (names and addresses). */
  certify(name: string, options?: { hosts?: string[]; expired?: boolean }): Certified
}

/** Makes an authority that nobody trusts yet. */
export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = newKeys()
  const issue = (subject: string, key: KeyObject, extensions: Buffer[], expired = false) =>
    signed(privateKey, {
      issuer: name,
      subject,
      publicKey: key,
      extensions,
      // a day back, because clocks differ
      from: new Date(Date.now() - (expired ? 3 : 1) * DAY_MS),
      to: new Date(Date.now() + (expired ? -1 : 365) * DAY_MS),
    })
  const mayCertify = extension(BASIC_CONSTRAINTS, der.sequence(der.truth), 'critical')
  return {
    cert: issue(name, publicKey, [mayCertify]),
    certify(subject, { hosts = [], expired = false } = {}) {
      const own = newKeys()
      const extensions = hosts.length > 0 ? [extension(SUBJECT_ALT_NAME, hostNames(hosts))] : []
      const key = own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      return { cert: issue(subject, own.publicKey, extensions, expired), key }
    },
  }
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

type Claim = {
  issuer: string
  subject: string
  publicKey: KeyObject
  from: Date
  to: Date
  extensions: Buffer[]
}

/** A certificate as PEM. */
function signed(privateKey: KeyObject, claim: Claim): string {
  const algorithm = der.sequence(der.identifier(ECDSA_WITH_SHA256))
  const claimed = der.sequence(
    der.der(0xa0, der.integer(Buffer.of(2))), // version 3
    der.integer(Buffer.of(1, ...randomBytes(8))), // the number of the certificate
    algorithm,
    nameOf(claim.issuer),
    der.sequence(der.moment(claim.from), der.moment(claim.to)),
    nameOf(claim.subject),
    claim.publicKey.export({ type: 'spki', format: 'der' }),
    ...(claim.extensions.length > 0 ? [der.der(0xa3, der.sequence(...claim.extensions))] : []),
  )
  const signature = sign('sha256', claimed, privateKey)
  return pem(der.sequence(claimed, algorithm, der.bits(signature)))
}

function nameOf(commonName: string): Buffer {
  const part = der.sequence(der.identifier(COMMON_NAME), der.utf8(commonName))
  return der.sequence(der.set(part))
}

function hostNames(hosts: string[]): Buffer {
  const address = (host: string) => der.der(0x87, Buffer.from(host.split('.').map(Number)))
  const name = (host: string) => der.der(0x82, Buffer.from(host))
  return der.sequence(...hosts.map(host => (isIP(host) ? address(host) : name(host))))
}

function extension(id: string, value: Buffer, importance?: 'critical'): Buffer {
  const critical = importance ? [der.truth] : []
  return der.sequence(der.identifier(id), ...critical, der.octets(value))
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
