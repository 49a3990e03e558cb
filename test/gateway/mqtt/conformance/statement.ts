import type { GatewayProcess } from '../../../setup/gateway-process.ts'

/**
 * One normative statement of MQTT 3.1.1, as far as it binds a server: its id without "MQTT-", the
 * statement in our words, and either the test that shows it against a running gateway, or the
 * reason why the gateway deviates.
 */
export type Statement = { id: string; says: string } & (
  | { test: (gateway: GatewayProcess) => Promise<void> }
  | { deviation: string }
)
