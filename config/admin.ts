import { type Config, type Fault, loadConfig } from './config.ts'
import { readDocument } from './loading/document.ts'
import { isGroup } from './loading/nested-values.ts'

const allowed = ['brokers', 'sasl', 'tls'] as const

/** How an administrator reaches Kafka, where that differs from how the bridge does. */
export type AdminAccess = Partial<Pick<Config['kafka'], (typeof allowed)[number]>>

/**
 * Reads a file (YAML) that holds kafka.brokers, kafka.sasl or kafka.tls of an administrator, and
 * nothing else. The environment is the bridge's, so it is not asked. Does not throw.
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
      .filter(key => !allowed.some(one => one === key))
      .map(key => `kafka.${key}`),
  ]
  if (others.length > 0) {
    const cure = `Leave ${allowed.map(key => `kafka.${key}`).join(', ')} in it alone`
    const reason = 'is not for an administrator'
    return { faults: others.map(key => ({ key, reason, cure, where: file })) }
  }
  const set = allowed.filter(key => Object.hasOwn(kafka, key))
  return { access: Object.fromEntries(set.map(key => [key, loaded.config.kafka[key]])) }
}
