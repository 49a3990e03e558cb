import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'

/** A client library alone. `prepare` makes the input of the library; only `send` is measured. */
export type BareLibrary<P> = {
  prepare(batch: Batch): P
  send(prepared: P): Promise<unknown>
}
