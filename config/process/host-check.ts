import { isIP } from 'node:net'
import { hostname } from 'node:os'

/** The names under which pages are served: the configured host, and the configured other names. */
export type ServedNames = { host: string; hostNames?: readonly string[] }

/**
 * Returns a function that returns why a request with that Host header is refused, or null. In an
 * attack by DNS rebinding, a web page's own name is resolved to this machine, and the browser sends
 * that name in the header. An IP address cannot be resolved to another one, so each is accepted;
 * RFC 9110, section 7.4, advises to refuse other names. A request without the header, of HTTP/1.0,
 * is not from a browser.
 */
export function createHostCheck(
  { host, hostNames = [] }: ServedNames,
  key: string,
): (header: string | undefined) => string | null {
  const names = new Set([host, hostname(), ...hostNames].map(normalized))
  return header => {
    if (header === undefined) return null
    const name = normalized(header.replace(/:\d*$/, ''))
    const isAddress = isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
    if (isAddress || /^(.+\.)?localhost$/.test(name) || names.has(name)) return null
    const shown = JSON.stringify(name.slice(0, 256))
    return `${shown} is no name of this process: add the name to ${key}.hostNames`
  }
}

const normalized = (name: string) => name.toLowerCase().replace(/\.$/, '')
