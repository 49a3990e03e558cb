import { clientIdStatements } from './client-id-statements.ts'
import { connectStatements } from './connect-statements.ts'
import { packetStatements } from './packet-statements.ts'
import { publishStatements } from './publish-statements.ts'
import { qosStatements } from './qos-statements.ts'
import { sessionStatements } from './session-statements.ts'
import type { Statement } from './statement.ts'
import { subscribeStatements } from './subscribe-statements.ts'
import { topicStatements } from './topic-statements.ts'
import { willStatements } from './will-statements.ts'

/** Every statement of MQTT 3.1.1 that the suite covers, in the order of the specification. */
export const statements: Statement[] = [
  ...packetStatements,
  ...connectStatements,
  ...clientIdStatements,
  ...sessionStatements,
  ...willStatements,
  ...publishStatements,
  ...qosStatements,
  ...subscribeStatements,
  ...topicStatements,
].sort((a, b) => compare(a.id.split(/[.-]/).map(Number), b.id.split(/[.-]/).map(Number)))

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((part, index) => part !== b[index])
  return at < 0 ? 0 : a[at]! - b[at]!
}
