import { pause } from '../../config/process/pause.ts'
import { type Batch, type KnownFate, type Sender, SinkUnavailable } from '../ports/event-sink.ts'

const ATTEMPTS_MAX = 20
const RETRY_MS = 500

/**
 * Sends a batch for a command that a person waits for: while Kafka is unavailable, at most 20 times
 * with half a second in between. Resolves with the fate of each record. Rejects with
 * SinkUnavailable when Kafka stays unavailable.
 */
export async function sendWithRetries(sink: Sender, batch: Batch): Promise<KnownFate[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await sink.send(batch)
    } catch (error) {
      if (!(error instanceof SinkUnavailable) || attempt === ATTEMPTS_MAX) throw error
      await pause(RETRY_MS)
    }
  }
}
