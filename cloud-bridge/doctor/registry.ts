import type { Config } from '../../config/config.ts'
import { newestSchema } from '../../config/schemas/released.ts'
import { readSchemaId } from '../../gateway/store/schema-ids.ts'
import { RegistryFault, type RegistryFaultKind } from '../registry/faults.ts'
import { createRegistryClient, subjectOf } from '../registry/registry.ts'
import { type Check, type Finding, fault, mergeFindings, ok, warning } from './finding.ts'

type RegistryCheckOptions = {
  topics: Pick<Config['kafka']['topics'], 'readings' | 'backfill'>
  inboxFile: string
}

const SCHEMA = `SensorReading ${newestSchema.version}`
const CURES: Partial<Record<RegistryFaultKind, string>> = {
  unavailable: 'Start it, or check registry.url',
}

/**
 * Whether the schema registry, if one is configured, has the gateway's schema for each topic of
 * events, or would accept the schema from the bridge. Registers nothing.
 */
export function registryChecks(
  { url, register, ...options }: Config['registry'],
  { topics, inboxFile }: RegistryCheckOptions,
): Check[] {
  if (url === null) return []
  const { signal } = new AbortController()
  const registry = createRegistryClient({ ...options, url, signal, register: false })
  const checkTopic = async (topic: string): Promise<Finding> => {
    const subject = subjectOf(topic)
    try {
      return (await findRegistered(subject)) ?? (await checkCompatible(subject))
    } catch (error) {
      if (!(error instanceof RegistryFault)) throw error
      const isKnown = readSchemaId(inboxFile, { registry: url, subject, ...newestSchema }) !== null
      return faultFinding(error, { register, isKnown })
    }
  }
  /** Null when the schema is not registered and the bridge is to register it. */
  const findRegistered = async (subject: string): Promise<Finding | null> => {
    try {
      await registry.idOf(subject, newestSchema)
      return ok(`subject ${subject}`, `the registry has ${SCHEMA}`)
    } catch (error) {
      if (register && error instanceof RegistryFault && error.kind === 'not registered') return null
      throw error
    }
  }
  const checkCompatible = async (subject: string): Promise<Finding> => {
    const isCompatible = await registry.isCompatible(subject, newestSchema)
    const value = `the registry does not have ${SCHEMA} yet; the bridge registers it`
    if (isCompatible) return ok(`subject ${subject}`, `${value}; it is compatible`)
    const cure = 'This registry cannot say whether the schema is compatible'
    return warning(`subject ${subject}`, value, cure)
  }
  const checkBoth = () => Promise.all([checkTopic(topics.readings), checkTopic(topics.backfill)])
  return [{ subject: 'registry', run: async () => mergeFindings(await checkBoth()) }]
}

/** Why the registry gives no schema id, and whether the bridge can work without the registry. */
function faultFinding(
  { kind, fault: value, cure: givenCure }: RegistryFault,
  { register, isKnown }: { register: boolean; isKnown: boolean },
): Finding {
  const subject = 'registry'
  const cure = givenCure ?? CURES[kind] ?? 'Fix this in the registry'
  // A schema that the registry does not have is missing for readers, too.
  if (kind === 'not registered' || kind === 'incompatible') return fault(subject, value, cure)
  if (isKnown) {
    return warning(subject, `${value}; the bridge uses the schema id that it knows`, cure)
  }
  if (kind !== 'not authorized' || !register) return fault(subject, value, cure)
  const mayRegister = 'The bridge may still have the right to register it: see its log'
  return warning(subject, value, mayRegister)
}
