import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'

/** A client library on its own. `prepare` makes the library's input; only `send` is measured. */
export type BareLibrary<P> = {
  prepare(batch: Batch): P
  send(prepared: P): Promise<unknown>
}
