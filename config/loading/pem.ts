import { createPrivateKey, X509Certificate } from 'node:crypto'

/**
 * Why the text of a file of kafka.tls cannot be used, as the end of a sentence; null when it can,
 * or when the key has none. Without this look a wrong file would be found out at the first
 * connection, or a caFile without certificates would trust nobody in silence.
 */
export function pemFault(key: string, text: string): string | null {
  if (key === 'keyFile') {
    return reads(() => createPrivateKey(text)) ? null : 'holds no private key without passphrase'
  }
  if (key !== 'caFile' && key !== 'certFile') return null
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const isWhole = found.length > 0 && found.every(one => reads(() => new X509Certificate(one)))
  return isWhole ? null : 'holds no certificate in PEM that can be read'
}

function reads(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}
