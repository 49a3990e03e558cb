import { X509Certificate } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import type { Secret } from '../../config/loading/secrets.ts'
import { type Check, type Finding, fault, ok, warning } from './finding.ts'

const SOON_MS = 30 * 86_400_000

type TlsConfig = { kafka: Pick<Config['kafka'], 'tls'>; registry: Pick<Config['registry'], 'ca'> }

/** Until when the certificates in the files of kafka.tls and registry are valid. */
export function certificateChecks({ kafka: { tls }, registry: { ca } }: TlsConfig): Check[] {
  const files: [key: string, pem: Secret | undefined][] = [
    ['kafka.tls.caFile', tls?.ca],
    ['kafka.tls.certFile', tls?.cert],
    ['registry.caFile', ca],
  ]
  return files.flatMap(([subject, pem]) =>
    pem ? [{ subject, run: async () => [validityFinding(subject, pem.reveal())] }] : [],
  )
}

/** The finding about the certificate of a file that expires first. */
function validityFinding(subject: string, pem: string, nowMs = Date.now()): Finding {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const certificates = texts.map(text => new X509Certificate(text))
  const endsMs = certificates.map(({ validToDate }) => validToDate.getTime())
  const endMs = Math.min(...endsMs)
  const begin = certificates[endsMs.indexOf(endMs)]!.validFromDate
  if (begin.getTime() > nowMs) {
    return fault(subject, `not valid before ${begin.toISOString()}`, 'Set the clock')
  }
  const day = new Date(endMs).toISOString().slice(0, 10)
  const cure = 'Replace the certificate, and restart the bridge'
  if (endMs < nowMs) return fault(subject, `expired on ${day}`, cure)
  const value = `valid until ${day}`
  return endMs < nowMs + SOON_MS ? warning(subject, value, cure) : ok(subject, value)
}
