import type { Config } from '../../config/config.ts'
import type { Framing } from '../ports/event-sink.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { createSchemaIdLookup, type SchemaIdLookupOptions } from '../registry/schema-ids.ts'
import { createFraming } from './framing.ts'

/**
 * The framing that is configured: with a registry, records contain the registry's schema ids, which
 * the inbox caches. `onChanged` is called with a line for the log when the registry gives another
 * id for a schema than before.
 */
export function createConfiguredFraming(
  { registry: { url, ...options }, kafka: { cloudEvents } }: Config,
  inbox: SchemaIdLookupOptions['inbox'],
  signal: AbortSignal,
  onChanged: (line: string) => void,
): Framing {
  if (url === null) return createFraming({ schemaIdOf: null, cloudEvents })
  const registry = createRegistryClient({ ...options, url, signal })
  const schemaIdOf = createSchemaIdLookup({ registry, inbox, onChanged })
  return createFraming({ schemaIdOf, cloudEvents })
}
