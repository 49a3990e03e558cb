import { isIPv4, isIPv6 } from 'node:net'

/** Whether a text is an IPv4 or IPv6 address (without brackets) or a host name. */
export function isHost(text: string): boolean {
  if (isIPv4(text) || isIPv6(text)) return true
  // A name whose last label is a number is a mistyped IPv4 address.
  return text.length <= 253 && /^([\w-]+\.)*[\w-]+\.?$/.test(text) && !/(^|\.)\d+\.?$/.test(text)
}

/** Whether a text is `host:port`: an IPv6 host in brackets, and a port between 1 and 65535. */
export function isHostAndPort(text: string): boolean {
  const [, ipv6, other, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  return (ipv6 ? isIPv6(ipv6) : isHost(other ?? '')) && port >= 1 && port <= 65535
}

/** Whether only this machine can reach a listener on this host; false for an unknown name. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === '::1' || host.toLowerCase() === 'localhost'
}

/** Whether listeners on these two hosts conflict when both have the same port. */
export function hostsOverlap(a: string, b: string): boolean {
  return a === b || [a, b].some(host => host === '0.0.0.0' || host === '::')
}

/** Whether a text is an http(s) URL of host, port and path, without user name or password. */
export function isPlainUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '') && !/[?#@\s]/.test(text)
}
