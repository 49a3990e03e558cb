import { subscribe } from 'node:diagnostics_channel'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'

const sockets: Socket[] = []

/** How many bytes this process gave to sockets that it opened since this file was loaded. */
export function sentBytes(): number {
  return sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
}

subscribe('net.client.socket', message => {
  sockets.push((message as { socket: Socket }).socket)
})
// Any process can be told to load this file (node --import) and to leave its count in a file.
const file = process.env.BENCH_SENT_FILE
if (file) process.on('exit', () => writeFileSync(file, String(sentBytes())))
