import type { Config } from '../../config/config.ts'
import type { Framing } from '../ports/event-sink.ts'
import { createRegistryClient } from '../registry/registry.ts'
import { createSchemaIdLookup, type SchemaIdLookupOptions } from '../registry/schema-ids.ts'
import { createFraming } from './framing.ts'

/**
 * How events go out: with numbers of a registry where one is configured, which `inbox` keeps.
 * `onChanged` is told what became of the registry.
 */
export function createConfiguredFraming(
  { registry: { url, ...options }, kafka: { cloudEvents } }: Config,
  inbox: SchemaIdLookupOptions['inbox'],
  signal: AbortSignal,
  onChanged: (line: string) => void,
): Framing {
  if (url === null) return createFraming({ schemaIdOf: null, cloudEvents })
  const registry = createRegistryClient({ ...options, url, signal })
  return createFraming({
    schemaIdOf: createSchemaIdLookup({ registry, inbox, onChanged }),
    cloudEvents,
  })
}
