import type { Frame, Headers } from './forwarder.ts'

const CONTENT_TYPE: Headers = { 'content-type': 'application/vnd.apache.avro' }

/** How events go out without a registry: as they lie in the outbox, in single-object encoding. */
export const singleObject: Frame = async events =>
  events.map(({ value }) => ({ value, headers: CONTENT_TYPE }))
