import type { Config } from '../../config/config.ts'
import type { Frame } from '../ports/event-sink.ts'
import { openRegistry } from '../registry/registry.ts'
import { type SchemaIdsOptions, startSchemaIds } from '../registry/schema-ids.ts'
import { startFraming } from './framing.ts'

/**
 * How events go out: with numbers of a registry where one is configured, which `inbox` keeps.
 * `onChanged` is told what became of the registry.
 */
export function configuredFraming(
  { registry: { url, ...options }, kafka: { cloudEvents } }: Config,
  inbox: SchemaIdsOptions['inbox'],
  signal: AbortSignal,
  onChanged: (line: string) => void,
): Frame {
  if (url === null) return startFraming({ schemaIdOf: null, cloudEvents })
  const registry = openRegistry({ ...options, url, signal })
  return startFraming({ schemaIdOf: startSchemaIds({ registry, inbox, onChanged }), cloudEvents })
}
