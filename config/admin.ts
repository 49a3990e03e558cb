import { type Config, type Fault, loadConfig } from './config.ts'
import { readDocument } from './loading/document.ts'
import { isGroup } from './loading/nested-values.ts'

const ALLOWED_KEYS = ['brokers', 'sasl', 'tls'] as const

/** How an administrator connects to Kafka: the settings that differ from the bridge's settings. */
export type AdminAccess = Partial<Pick<Config['kafka'], (typeof ALLOWED_KEYS)[number]>>

/**
 * Reads a YAML file with an administrator's kafka.brokers, kafka.sasl or kafka.tls; any other key
 * is a fault. Ignores the environment, because its variables configure the bridge. Never throws.
 */
export function loadAdminAccess(file: string): { access: AdminAccess } | { faults: Fault[] } {
  const loaded = loadConfig({ file, env: {} })
  if ('faults' in loaded) return loaded
  const { value } = readDocument(file)
  const given = isGroup(value) ? value : {}
  const kafka = isGroup(given.kafka) ? given.kafka : {}
  const others = [
    ...Object.keys(given).filter(key => key !== 'kafka'),
    ...Object.keys(kafka)
      .filter(key => !ALLOWED_KEYS.some(allowed => allowed === key))
      .map(key => `kafka.${key}`),
  ]
  if (others.length > 0) {
    const cure = `Keep only ${ALLOWED_KEYS.map(key => `kafka.${key}`).join(', ')} in it`
    const reason = 'is not a key for an administrator'
    return { faults: others.map(key => ({ key, reason, cure, where: file })) }
  }
  const givenKeys = ALLOWED_KEYS.filter(key => Object.hasOwn(kafka, key))
  return { access: Object.fromEntries(givenKeys.map(key => [key, loaded.config.kafka[key]])) }
}
