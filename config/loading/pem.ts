import { createPrivateKey, X509Certificate } from 'node:crypto'

/**
 * Returns why the text of a kafka.tls file cannot be used, as the end of a sentence; null when the
 * text can be used, or when the key names no PEM file. Without this check a wrong file would fail
 * only at the first connection, and a caFile without certificates would silently trust no broker.
 */
export function pemFault(key: string, text: string): string | null {
  if (key === 'keyFile') {
    return succeeds(() => createPrivateKey(text))
      ? null
      : 'contains no private key without passphrase'
  }
  if (key !== 'caFile' && key !== 'certFile') return null
  const certificates =
    text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const isReadable = (certificate: string) => succeeds(() => new X509Certificate(certificate))
  const isUsable = certificates.length > 0 && certificates.every(isReadable)
  return isUsable ? null : 'contains no readable certificate in PEM format'
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}
