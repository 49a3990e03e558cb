import type { Batch } from '../../../cloud-bridge/ports/event-sink.ts'

/** A library on its own: what `prepare` gives is sent as it is, and `send` is what is measured. */
export type BareLibrary<P> = {
  prepare(batch: Batch): P
  send(prepared: P): Promise<unknown>
}
