import { isDeepStrictEqual } from 'node:util'
import type { ReleasedSchema } from '../../config/schemas/released.ts'
import { isNotFound, responseFault, type SchemaReference, unreachableFault } from './faults.ts'
import { type RegistryOptions, type RegistryResponse, sendRequest } from './request.ts'

export type RegistryClient = ReturnType<typeof createRegistryClient>

/** The subject of a topic's values (TopicNameStrategy). */
export const subjectOf = (topic: string) => `${topic}-value`

/**
 * A client of a schema registry with Confluent's REST interface. Every method rejects with a
 * RegistryFault, whose message names the cure.
 */
export function createRegistryClient(options: RegistryOptions) {
  const { url, register } = options
  const pathOf = (subject: string) => `/subjects/${encodeURIComponent(subject)}`
  const send = (path: string, body?: object) =>
    sendRequest(options, path, body).catch(error => {
      throw unreachableFault(url, error)
    })
  /** Parses a successful response. Throws a RegistryFault when `parse` returns null. */
  const parsed = <T>(
    response: RegistryResponse,
    reference: SchemaReference,
    parse: (body: unknown) => T | null,
  ): T => {
    const value = response.status === 200 ? parse(response.body) : null
    if (value === null) throw responseFault(options, response, reference)
    return value
  }

  /** The Avro schemas of a subject by their ids; none for a subject that does not exist. */
  const schemasOf = async (subject: string): Promise<Map<number, object>> => {
    const reference = { schema: 'schemas', file: '', subject }
    const listed = await send(`${pathOf(subject)}/versions`)
    if (isNotFound(listed)) return new Map()
    const schemas = new Map<number, object>()
    for (const version of parsed(listed, reference, parseVersions)) {
      const response = await send(`${pathOf(subject)}/versions/${version}`)
      const { id, schema } = parsed(response, reference, body => ({
        ...parseAvroSchema(body),
        id: parseId(body),
      }))
      if (id !== null && schema) schemas.set(id, schema)
    }
    return schemas
  }

  const lookUp = async (
    subject: string,
    schema: ReleasedSchema,
    reference: SchemaReference,
  ): Promise<number> => {
    const response = await send(pathOf(subject), { schema: schema.text })
    if (!isNotFound(response)) return parsed(response, reference, parseId)
    // Some registries compare texts: the schema may be registered with other white space.
    const json = JSON.parse(schema.text)
    for (const [id, registered] of await schemasOf(subject)) {
      if (isDeepStrictEqual(registered, json)) return id
    }
    throw responseFault(options, response, reference)
  }

  const referenceTo = (subject: string, { version }: ReleasedSchema): SchemaReference => ({
    ...{ schema: `SensorReading ${version}`, file: `SensorReading.${version}.avsc`, subject },
  })

  return {
    url,
    schemasOf,
    /**
     * Whether a schema is compatible with the subject by the registry's own check, which registers
     * nothing and does not check the right to register. False where the registry has no such check.
     */
    async isCompatible(subject: string, schema: ReleasedSchema): Promise<boolean> {
      const reference = referenceTo(subject, schema)
      const path = `/compatibility${pathOf(subject)}/versions?verbose=true`
      const response = await send(path, { schema: schema.text })
      if (isNotFound(response)) return true
      if (response.status === 404) return false
      const { isCompatible, message } = parsed(response, reference, parseCompatibility)
      if (!isCompatible) {
        throw responseFault(options, { status: 409, body: { message } }, reference)
      }
      return true
    },
    /**
     * The id of a schema under a subject. Registers the schema (idempotent), or only looks the id
     * up, as configured.
     */
    async idOf(subject: string, schema: ReleasedSchema): Promise<number> {
      const reference = referenceTo(subject, schema)
      if (!register) return lookUp(subject, schema, reference)
      const response = await send(`${pathOf(subject)}/versions`, { schema: schema.text })
      return parsed(response, reference, parseId)
    },
  }
}

function parseId(body: unknown): number | null {
  const { id } = (body ?? {}) as { id?: unknown }
  return Number.isInteger(id) && Number(id) >= 0 && Number(id) < 2 ** 31 ? Number(id) : null
}

function parseCompatibility(body: unknown): { isCompatible: boolean; message?: string } | null {
  const { is_compatible: isCompatible, messages } = (body ?? {}) as Record<string, unknown>
  if (typeof isCompatible !== 'boolean') return null
  return { isCompatible, ...(Array.isArray(messages) && { message: messages.join('; ') }) }
}

function parseVersions(body: unknown): number[] | null {
  return Array.isArray(body) && body.every(Number.isInteger) ? body : null
}

/** The schema is null where it is not Avro. */
function parseAvroSchema(body: unknown): { schema: object | null } {
  const { schema, schemaType = 'AVRO' } = (body ?? {}) as Record<string, unknown>
  if (schemaType !== 'AVRO' || typeof schema !== 'string') return { schema: null }
  try {
    return { schema: JSON.parse(schema) }
  } catch {
    return { schema: null }
  }
}
