import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { CannotStart } from '../../config/process/lifetime.ts'
import type { WriterData, WriterRequest, WriterResponse } from './writer-thread.ts'
import { startWriterWatch } from './writer-watch.ts'

/** How long a silent writer thread has to end before the process is killed. */
const TERMINATE_MS = 5000

export type WriterChannelOptions = {
  onSilent(silentMs: number): void
  onAnswered(silentMs: number): void
  /** Called when the writer thread failed; the process must end and restart. */
  onFailed(reason: string): void
}

/**
 * Starts the writer thread and watches whether it answers. Resolves with its first answer when the
 * outbox is open; rejects with CannotStart when the outbox cannot be opened. When the thread stays
 * silent for `outbox.writer.endAfterMs`, the thread is terminated and `onFailed` is called. A
 * thread that hangs in a system call cannot be terminated, and a normal exit would wait for it:
 * then the process kills itself.
 */
export async function openWriterChannel(workerData: WriterData, options: WriterChannelOptions) {
  const { onSilent, onAnswered, onFailed } = options
  const thread = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData })
  const opened = await readOpened(thread).catch(async error => {
    await thread.terminate()
    throw error
  })
  thread.on('error', error => onFailed(error.message))
  const onEnd = async (silentMs: number) => {
    const reason = silentText(silentMs)
    const isEnded = await Promise.race([
      thread.terminate().then(() => true),
      sleep(TERMINATE_MS, false),
    ])
    if (isEnded) return onFailed(reason)
    process.stderr.write(`${reason}, and cannot be ended: the process kills itself\n`)
    process.kill(process.pid, 'SIGKILL')
  }
  const watch = startWriterWatch({ ...workerData.outbox.writer, onSilent, onAnswered, onEnd })
  return {
    opened,
    get silentMs() {
      return watch.silentMs
    },
    /** Sends a request; the caller sends the next request after the response. */
    async send(request: WriterRequest, transfer: ArrayBuffer[] = []): Promise<WriterResponse> {
      const response = once(thread, 'message')
      watch.begin()
      try {
        thread.postMessage(request, transfer)
        const [message] = await response
        return message
      } finally {
        watch.end()
      }
    },
    async close(): Promise<void> {
      watch.stop()
      await thread.terminate()
    },
  }
}

/** A sentence about a writer thread that does not answer. */
export const silentText = (silentMs: number): string =>
  `the writer thread has not answered for ${Math.round(silentMs / 1000)} s`

export const unexpectedText = (request: string, { kind }: WriterResponse) =>
  `the writer thread answered "${kind}" to the request "${request}"`

async function readOpened(thread: Worker) {
  const [response] = (await once(thread, 'message')) as [WriterResponse]
  if (response.kind === 'cannot start') throw new CannotStart(response.reason, response)
  if (response.kind !== 'opened') throw new Error(unexpectedText('start', response))
  return response
}
