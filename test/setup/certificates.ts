// Certificates (RFC 5280) for tests. Created here, because a clone has no openssl, keytool does not
// export private keys, and a library would be larger than this file.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import * as der from './der.ts'

const DAY_MS = 86_400_000
const COMMON_NAME = '2.5.4.3'
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const BASIC_CONSTRAINTS = '2.5.29.19'
const SUBJECT_ALT_NAME = '2.5.29.17'

/** A certificate and its private key, both PEM. */
export type Certified = { cert: string; key: string }

/** A certificate authority with a self-signed certificate. */
export type Authority = {
  cert: string
  /** Issues a certificate for `name` that is valid for `hosts` (names and addresses). */
  certify(name: string, options?: { hosts?: string[]; expired?: boolean }): Certified
}

/** Creates an authority. */
export function createAuthority(name: string): Authority {
  const { publicKey, privateKey } = newKeys()
  const issue = (subject: string, key: KeyObject, extensions: Buffer[], expired = false) =>
    signed(privateKey, {
      issuer: name,
      subject,
      publicKey: key,
      extensions,
      // Valid from one day ago, because clocks differ.
      from: new Date(Date.now() - (expired ? 3 : 1) * DAY_MS),
      to: new Date(Date.now() + (expired ? -1 : 365) * DAY_MS),
    })
  const mayCertify = extension(BASIC_CONSTRAINTS, der.sequence(der.truth), 'critical')
  return {
    cert: issue(name, publicKey, [mayCertify]),
    certify(subject, { hosts = [], expired = false } = {}) {
      const subjectKeys = newKeys()
      const extensions = hosts.length > 0 ? [extension(SUBJECT_ALT_NAME, hostNames(hosts))] : []
      const key = subjectKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      return { cert: issue(subject, subjectKeys.publicKey, extensions, expired), key }
    },
  }
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

type CertificateFields = {
  issuer: string
  subject: string
  publicKey: KeyObject
  from: Date
  to: Date
  extensions: Buffer[]
}

/** A signed certificate as PEM. */
function signed(privateKey: KeyObject, fields: CertificateFields): string {
  const algorithm = der.sequence(der.identifier(ECDSA_WITH_SHA256))
  const toBeSigned = der.sequence(
    der.der(0xa0, der.integer(Buffer.of(2))), // version 3
    der.integer(Buffer.of(1, ...randomBytes(8))), // serial number
    algorithm,
    nameOf(fields.issuer),
    der.sequence(der.moment(fields.from), der.moment(fields.to)),
    nameOf(fields.subject),
    fields.publicKey.export({ type: 'spki', format: 'der' }),
    ...(fields.extensions.length > 0 ? [der.der(0xa3, der.sequence(...fields.extensions))] : []),
  )
  const signature = sign('sha256', toBeSigned, privateKey)
  return pem(der.sequence(toBeSigned, algorithm, der.bits(signature)))
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
