import { isDeepStrictEqual } from 'node:util'
import type { ReleasedSchema } from '../../config/schemas/released.ts'
import { isNotFound, responseFault, type SchemaReference, unreachableFault } from './faults.ts'
import { type RegistryOptions, type RegistryResponse, sendRequest } from './request.ts'

export type RegistryClient = ReturnType<typeof createRegistryClient>

/** Under which name a topic's values have their schemas (TopicNameStrategy). */
export const subjectOf = (topic: string) => `${topic}-value`

/**
 * A schema registry with Confluent's REST interface. Connects when it is asked; each rejection is a
 * RegistryFault, whose message names the cure.
 */
export function createRegistryClient(options: RegistryOptions) {
  const { url, register } = options
  const under = (subject: string) => `/subjects/${encodeURIComponent(subject)}`
  const answerTo = (path: string, body?: object) =>
    sendRequest(options, path, body).catch(error => {
      throw unreachableFault(url, error)
    })
  const wanted = <T>(
    answer: RegistryResponse,
    about: SchemaReference,
    read: (body: unknown) => T | null,
  ): T => {
    const found = answer.status === 200 ? read(answer.body) : null
    if (found === null) throw responseFault(options, answer, about)
    return found
  }

  /** Every schema under a subject, by its number; none of a subject that is not there. */
  const schemasOf = async (subject: string): Promise<Map<number, object>> => {
    const about = { schema: 'schemas', file: '', subject }
    const listed = await answerTo(`${under(subject)}/versions`)
    if (isNotFound(listed)) return new Map()
    const found = new Map<number, object>()
    for (const version of wanted(listed, about, versionsIn)) {
      const answer = await answerTo(`${under(subject)}/versions/${version}`)
      const { id, schema } = wanted(answer, about, body => ({ ...schemaIn(body), id: idIn(body) }))
      // What is no Avro is none of ours.
      if (id !== null && schema) found.set(id, schema)
    }
    return found
  }

  const lookUp = async (
    subject: string,
    schema: ReleasedSchema,
    about: SchemaReference,
  ): Promise<number> => {
    const answer = await answerTo(under(subject), { schema: schema.text })
    if (!isNotFound(answer)) return wanted(answer, about, idIn)
    // Somebody may have registered it with other white space, which is another text to some.
    const text = JSON.parse(schema.text)
    for (const [id, other] of await schemasOf(subject)) {
      if (isDeepStrictEqual(other, text)) return id
    }
    throw responseFault(options, answer, about)
  }

  const aboutOf = (subject: string, { version }: ReleasedSchema): SchemaReference => ({
    ...{ schema: `SensorReading ${version}`, file: `SensorReading.${version}.avsc`, subject },
  })

  return {
    url,
    schemasOf,
    /**
     * Asks whether a schema fits what is under a subject already, by the registry's own test, which
     * registers nothing: whether we have the right to do that stays open. False where it has no
     * such test.
     */
    async fits(subject: string, schema: ReleasedSchema): Promise<boolean> {
      const about = aboutOf(subject, schema)
      const path = `/compatibility${under(subject)}/versions?verbose=true`
      const answer = await answerTo(path, { schema: schema.text })
      if (isNotFound(answer)) return true
      if (answer.status === 404) return false
      const { isCompatible, message } = wanted(answer, about, verdictIn)
      if (!isCompatible) throw responseFault(options, { status: 409, body: { message } }, about)
      return true
    },
    /**
     * The number of a schema of ours under a subject: registers it, which changes nothing where it
     * is registered, or only looks it up, as configured.
     */
    async idOf(subject: string, schema: ReleasedSchema): Promise<number> {
      const about = aboutOf(subject, schema)
      if (!register) return lookUp(subject, schema, about)
      const answer = await answerTo(`${under(subject)}/versions`, { schema: schema.text })
      return wanted(answer, about, idIn)
    },
  }
}

function idIn(body: unknown): number | null {
  const { id } = (body ?? {}) as { id?: unknown }
  return Number.isInteger(id) && Number(id) >= 0 && Number(id) < 2 ** 31 ? Number(id) : null
}

function verdictIn(body: unknown): { isCompatible: boolean; message?: string } | null {
  const { is_compatible: isCompatible, messages } = (body ?? {}) as Record<string, unknown>
  if (typeof isCompatible !== 'boolean') return null
  return { isCompatible, ...(Array.isArray(messages) && { message: messages.join('; ') }) }
}

function versionsIn(body: unknown): number[] | null {
  return Array.isArray(body) && body.every(Number.isInteger) ? body : null
}

function schemaIn(body: unknown): { schema: object | null } {
  const { schema, schemaType = 'AVRO' } = (body ?? {}) as Record<string, unknown>
  if (schemaType !== 'AVRO' || typeof schema !== 'string') return { schema: null }
  try {
    return { schema: JSON.parse(schema) }
  } catch {
    return { schema: null }
  }
}
