import { expect, it } from 'vitest'
import { unreachableFault } from '../../../cloud-bridge/registry/faults.ts'

/** What Node.js says, with the code that it gives to it. */
it.each([
  [
    'ERR_TLS_CERT_ALTNAME_INVALID',
    "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's list: ",
    "is away: Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's " +
      'list. Write the name in registry.url that its certificate has',
  ],
  [
    'CERT_HAS_EXPIRED',
    'certificate has expired',
    'is away: certificate has expired. Have its certificate renewed, or set the clock',
  ],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'unable to verify the first certificate',
    'is away: unable to verify the first certificate. Name who signed its certificate in ' +
      'registry.caFile',
  ],
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'self-signed certificate',
    'is away: self-signed certificate. Name who signed its certificate in registry.caFile',
  ],
  ['ECONNREFUSED', '', 'is away: ECONNREFUSED'],
  ['EPROTO', 'a\nb', 'is away: a b. Write http:// in registry.url where it has no TLS'],
])('%s is told with its cure', (code, message, line) => {
  const fault = unreachableFault('https://r', Object.assign(new Error(message), { code }))
  expect([fault.kind, fault.message]).toEqual(['away', `the schema registry https://r ${line}`])
})
