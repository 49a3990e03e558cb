import { isIPv4, isIPv6 } from 'node:net'

/** Whether this is an IPv4 or IPv6 address (without brackets) or a host name. */
export function isHost(text: string): boolean {
  if (isIPv4(text) || isIPv6(text)) return true
  // A name whose last label is a number is a mistyped address.
  return text.length <= 253 && /^([\w-]+\.)*[\w-]+\.?$/.test(text) && !/(^|\.)\d+\.?$/.test(text)
}

/** Whether this is `host:port`, an IPv6 host in brackets, the port between 1 and 65535. */
export function isHostAndPort(text: string): boolean {
  const [, six, other, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  return (six ? isIPv6(six) : isHost(other ?? '')) && port >= 1 && port <= 65535
}

/** Whether only this machine can reach a listener on this host; of other names nobody knows. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === '::1' || host.toLowerCase() === 'localhost'
}

/** Whether two listeners on these hosts meet when their ports are equal. */
export function hostsOverlap(one: string, other: string): boolean {
  return one === other || [one, other].some(host => host === '0.0.0.0' || host === '::')
}

/** Whether this is an http(s) URL of host, port and path, with no name or password in it. */
export function isPlainUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '') && !/[?#@\s]/.test(text)
}
