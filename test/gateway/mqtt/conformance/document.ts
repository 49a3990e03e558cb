// ./sluice exec test/gateway/mqtt/conformance/document.ts: writes docs/mqtt-conformance.md.
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { statements } from './statements.ts'

/** The document that lists the statements. */
export const documentFile = fileURLToPath(
  new URL('../../../../docs/mqtt-conformance.md', import.meta.url),
)

const START = `# Conformance to MQTT 3.1.1

The gateway is a server of MQTT 3.1.1 (OASIS Standard, 29 October 2014). The table has every
numbered statement of the specification that binds a server, in our words. Each *tested* statement
is a test against a running gateway over raw sockets, in \`test/gateway/mqtt/conformance\`.

The table is generated: \`./sluice exec test/gateway/mqtt/conformance/document.ts\`.

`

const END = `
## What is not in the table

- Statements that bind a client only: MQTT-2.3.1-2, 2.3.1-3, 3.1.2-23, 3.14.4-1, 3.14.4-2, 4.5.0-2
  and 4.6.0-1.
- WebSockets (MQTT-6.0.0-1 to 6.0.0-4): the gateway offers TCP.
- Statements about conformance itself (section 7).

## What the specification leaves open

- A client id has at most 256 bytes.
- A message whose topic has a control character becomes a dead letter. The gateway neither
  forwards nor retains it, because some clients end when they receive such a topic.
- A message to a topic that begins with \`$\` becomes a dead letter and is not forwarded.
- Messages of topics with more than 100 levels are stored and not forwarded. A subscription to
  more than 100 levels gets the return code 0x80.
- Devices of MQTT 3.1 (protocol name MQIsdp, level 3) are served, too. The bridges of Mosquitto
  may set the bit 0x80 of the protocol level.
- A packet id is given to messages in turn. The same packet id comes again after 65,535 messages,
  although a subscriber that never acknowledges may still hold it.
- Retained messages and sessions do not survive a restart of the gateway. QoS 2 messages between
  PUBLISH and PUBREL do.
`

/** Returns the text of the document. */
export function conformanceDocument(): string {
  const rows = statements.map(statement => {
    const shown = 'test' in statement ? 'tested' : `deviation: ${statement.deviation}`
    return `| MQTT-${statement.id} | ${statement.says} | ${shown} |`
  })
  const table = ['| statement | what it says | the gateway |', '|---|---|---|', ...rows].join('\n')
  const tested = statements.filter(statement => 'test' in statement).length
  const count = `${statements.length} statements, ${tested} of them tested:\n\n`
  return `${START}${count}${table}\n${END}`
}

if (import.meta.main) writeFileSync(documentFile, conformanceDocument())
