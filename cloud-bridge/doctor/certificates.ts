import { X509Certificate } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import { type Check, type Finding, fault, ok, warn } from './finding.ts'

const SOON_MS = 30 * 86_400_000

/** Until when the certificates in the files of kafka.tls are valid. */
export function certificateChecks({ tls }: Pick<Config['kafka'], 'tls'>): Check[] {
  if (!tls) return []
  const { ca, cert } = tls
  const look = async () => [
    judge('kafka.tls.caFile', ca.reveal()),
    ...(cert ? [judge('kafka.tls.certFile', cert.reveal())] : []),
  ]
  return [{ what: 'kafka.tls', look }]
}

/** Of several in one file, by the one that ends first. */
function judge(what: string, pem: string, nowMs = Date.now()): Finding {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const all = texts.map(text => new X509Certificate(text))
  const ends = all.map(({ validToDate }) => validToDate.getTime())
  const endMs = Math.min(...ends)
  const begins = all[ends.indexOf(endMs)]!.validFromDate
  if (begins.getTime() > nowMs) {
    return fault(what, `not valid before ${begins.toISOString()}`, 'Set the clock')
  }
  const day = new Date(endMs).toISOString().slice(0, 10)
  const cure = 'Put a new one in its place, and start the bridge again'
  if (endMs < nowMs) return fault(what, `expired on ${day}`, cure)
  const value = `valid until ${day}`
  return endMs < nowMs + SOON_MS ? warn(what, value, cure) : ok(what, value)
}
