import type { Config } from '../../config/config.ts'
import { keepRepeatedFilters } from './aedes-delivery.ts'
import { checkPacketBodies, checkPacketHeaders, containParserErrors } from './aedes-internals.ts'
import type { BoundReports } from './bounds/bound-reports.ts'
import { bodyFault, headerFault, PUBLISH_HEAD_MAX_BYTES } from './packet-rules.ts'

type GuardedClient = {
  id: string | null
  _parser?: unknown
  connecting: boolean
  connected: boolean
  conn: { write(bytes: Buffer): unknown }
}

/**
 * The largest CONNECT packet that is accepted. It contains client id, will, user name and password.
 */
const CONNECT_MAX_BYTES = 16 * 1024

/**
 * Checks each packet twice, before aedes acts on it. Before any of its body is stored in memory,
 * its fixed header is checked: the first packet must be CONNECT [MQTT-3.1.0-1], and no packet may
 * declare more than `packetMaxBytes`. When the packet is complete, its body is checked by the
 * specification. A packet that breaks a rule ends its connection [MQTT-4.8.0-1], and so does an
 * exception while a packet is parsed or handled. A packet with more than `filtersPerPacketMax`
 * filters is such a packet, and is reported as a bound: its cost is by filter, not by byte.
 */
export function guardPackets(
  client: GuardedClient,
  limits: Pick<Config['gateway']['mqtt'], 'packetMaxBytes' | 'filtersPerPacketMax'>,
  boundReports: BoundReports,
): void {
  const { packetMaxBytes, filtersPerPacketMax } = limits
  const isFirst = () => !client.connecting && !client.connected
  checkPacketHeaders(client, header => {
    const { cmd, length } = header
    if (isFirst() && cmd !== 'connect') return `the first packet is ${cmd}, not connect`
    const maxBytes =
      cmd === 'connect' ? Math.min(CONNECT_MAX_BYTES, packetMaxBytes) : packetMaxBytes
    if (length > maxBytes) return `a ${cmd} packet declares ${length} bytes, more than ${maxBytes}`
    return headerFault(header)
  })
  checkPacketBodies(client, PUBLISH_HEAD_MAX_BYTES, (header, body) => {
    const fault = bodyFault(header, body, filtersPerPacketMax)
    if (fault?.connackCode !== undefined && isFirst()) client.conn.write(connack(fault.connackCode))
    if (fault?.isBound) {
      boundReports.report({
        ...{ key: 'gateway.mqtt.filtersPerPacketMax', value: filtersPerPacketMax },
        ...{ consequence: 'the connection of a packet with more is closed', client: client.id },
      })
    }
    return fault?.reason ?? null
  })
  keepRepeatedFilters(client)
  containParserErrors(client)
}

/** A CONNACK without a session (section 3.2). */
const connack = (code: number) => Buffer.from([0x20, 2, 0, code])
