import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import { type Check, type Finding, fault, ok, warn } from './finding.ts'

const SOON_MS = 30 * 86_400_000

/** Whether what kafka.tls names can be used: PEM, valid today, and key and certificate a pair. */
export function certificateChecks({ tls }: Pick<Config['kafka'], 'tls'>): Check[] {
  if (!tls) return []
  const look = async () => {
    const trusted = judge('kafka.tls.caFile', tls.ca.reveal())
    if (!tls.cert || !tls.key) return [trusted]
    const own = judge('kafka.tls.certFile', tls.cert.reveal())
    return [trusted, own, ...pairFault(tls.cert.reveal(), tls.key.reveal())]
  }
  return [{ what: 'kafka.tls', look }]
}

function judge(what: string, pem: string, nowMs = Date.now()): Finding {
  const renew = 'Put a new one in its place, and start the bridge again'
  const found = parsed(pem)
  if (!found)
    return fault(what, 'is no certificate in PEM', 'Name a file that begins with -----BEGIN')
  const day = found.validTo.slice(0, 10)
  if (Date.parse(found.validFrom) > nowMs) {
    return fault(what, `not valid before ${found.validFrom}`, 'Set the clock')
  }
  if (found.endsAtMs < nowMs) return fault(what, `expired on ${day}`, renew)
  const value = `valid until ${day}`
  return found.endsAtMs < nowMs + SOON_MS ? warn(what, value, renew) : ok(what, value)
}

/** Of the certificate in a file that ends first. */
function parsed(pem: string) {
  const texts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    const all = texts.map(text => {
      const { validFromDate, validToDate } = new X509Certificate(text)
      const [validFrom, validTo] = [validFromDate.toISOString(), validToDate.toISOString()]
      return { validFrom, validTo, endsAtMs: validToDate.getTime() }
    })
    return all.sort((one, other) => one.endsAtMs - other.endsAtMs)[0] ?? null
  } catch {
    return null
  }
}

function pairFault(cert: string, key: string): Finding[] {
  const what = 'kafka.tls.keyFile'
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return []
    return [fault(what, 'is not the key to certFile', 'Name the two that belong together')]
  } catch {
    return [fault(what, 'is no private key in PEM that can be read', 'Name one without a password')]
  }
}
