import type { Config } from '../../config/config.ts'
import { newestSchema } from '../../config/schemas/released.ts'
import { readSchemaId } from '../../gateway/store/schema-ids.ts'
import { RegistryFault, type RegistryFaultKind } from '../registry/faults.ts'
import { createRegistryClient, subjectOf } from '../registry/registry.ts'
import { type Check, type Finding, fault, mergeFindings, ok, warn } from './finding.ts'

type Parts = {
  topics: Pick<Config['kafka']['topics'], 'readings' | 'backfill'>
  inboxFile: string
}

const SCHEMA = `SensorReading ${newestSchema.version}`
const CURES: Partial<Record<RegistryFaultKind, string>> = {
  away: 'Start it, or check registry.url',
}

/**
 * Whether the schema registry, if one is configured, has the schema that the gateway writes for
 * each topic of events, or would take it from the bridge. Asks, and never registers anything.
 */
export function registryChecks(
  { url, register, ...options }: Config['registry'],
  { topics, inboxFile }: Parts,
): Check[] {
  if (url === null) return []
  const { signal } = new AbortController()
  const asked = createRegistryClient({ ...options, url, signal, register: false })
  const look = async (topic: string): Promise<Finding> => {
    const subject = subjectOf(topic)
    try {
      return (await has(subject)) ?? (await wouldTake(subject))
    } catch (error) {
      if (!(error instanceof RegistryFault)) throw error
      const isKept = readSchemaId(inboxFile, { registry: url, subject, ...newestSchema }) !== null
      return told(error, { register, isKept })
    }
  }
  /** Null when it has not, and the bridge is to register it. */
  const has = async (subject: string): Promise<Finding | null> => {
    try {
      await asked.idOf(subject, newestSchema)
      return ok(`subject ${subject}`, `the registry has ${SCHEMA}`)
    } catch (error) {
      if (register && error instanceof RegistryFault && error.kind === 'unknown') return null
      throw error
    }
  }
  const wouldTake = async (subject: string): Promise<Finding> => {
    const fits = await asked.fits(subject, newestSchema)
    const value = `the registry has no ${SCHEMA} yet, which the bridge registers`
    if (fits) return ok(`subject ${subject}`, `${value}; it fits what is there`)
    const cure = 'Whether it fits what is there cannot be asked of this registry'
    return warn(`subject ${subject}`, value, cure)
  }
  const lookAtBoth = () => Promise.all([look(topics.readings), look(topics.backfill)])
  return [{ what: 'registry', look: async () => mergeFindings(await lookAtBoth()) }]
}

/** What keeps the registry from giving the number, and whether the bridge can do without. */
function told(
  { kind, fault: value, cure }: RegistryFault,
  { register, isKept }: { register: boolean; isKept: boolean },
): Finding {
  const what = 'registry'
  const mend = cure ?? CURES[kind] ?? 'Mend that there'
  // One that does not have it, or not any more, leaves readers without it, too.
  if (kind === 'unknown' || kind === 'incompatible') return fault(what, value, mend)
  if (isKept) return warn(what, `${value}; the number that it gave before holds meanwhile`, mend)
  if (kind !== 'not allowed' || !register) return fault(what, value, mend)
  return warn(
    what,
    value,
    'The bridge may be let register it all the same; that is seen when it does',
  )
}
