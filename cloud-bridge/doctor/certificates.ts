import { X509Certificate } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import type { Secret } from '../../config/loading/secrets.ts'
import { type Check, type Finding, fault, ok, warn } from './finding.ts'

const SOON_MS = 30 * 86_400_000

type Parts = { kafka: Pick<Config['kafka'], 'tls'>; registry: Pick<Config['registry'], 'ca'> }

/** Until when the certificates in the files of kafka.tls and registry are valid. */
export function certificateChecks({ kafka: { tls }, registry: { ca } }: Parts): Check[] {
  const files: [key: string, pem: Secret | undefined][] = [
    ['kafka.tls.caFile', tls?.ca],
    ['kafka.tls.certFile', tls?.cert],
    ['registry.caFile', ca],
  ]
  return files.flatMap(([what, pem]) =>
    pem ? [{ what, look: async () => [judge(what, pem.reveal())] }] : [],
  )
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
