import { subscribe } from 'node:diagnostics_channel'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'

const sockets: Socket[] = []

/** Bytes that this process has written to sockets opened since this file was loaded. */
export function sentBytes(): number {
  return sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
}

subscribe('net.client.socket', message => {
  sockets.push((message as { socket: Socket }).socket)
})
// A process that loads this file (node --import) writes its number of sent bytes to BENCH_SENT_FILE
// at exit.
const file = process.env.BENCH_SENT_FILE
if (file) process.on('exit', () => writeFileSync(file, String(sentBytes())))
