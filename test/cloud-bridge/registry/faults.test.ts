import { expect, it } from 'vitest'
import { unreachableFault } from '../../../cloud-bridge/registry/faults.ts'

/** Error codes and messages of Node.js. */
it.each([
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's list: ",
    "is unavailable: Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's " +
      'list. Write the host name of its certificate in registry.url',
  ],
  [
    'CERT_HAS_EXPIRED',
    'certificate has expired',
    'is unavailable: certificate has expired. Renew its certificate, or set the clock',
  ],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'unable to verify the first certificate',
    'is unavailable: unable to verify the first certificate. Name the authority of its certificate ' +
      'in registry.caFile',
  ],
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'self-signed certificate',
    'is unavailable: self-signed certificate. Name the authority of its certificate in registry.caFile',
  ],
  ['ECONNREFUSED', '', 'is unavailable: ECONNREFUSED'],
  [
    'EPROTO',
    'a\nb',
    'is unavailable: a b. Write http:// in registry.url if the registry has no TLS',
  ],
])('%s is reported with its cure', (code, message, line) => {
  const fault = unreachableFault('https://r', Object.assign(new Error(message), { code }))
  expect([fault.kind, fault.message]).toEqual([
    'unavailable',
    `the schema registry https://r ${line}`,
  ])
})
