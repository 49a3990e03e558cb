// Preloaded into the gateway by a test (node --import). When the file STUCK_WRITER_FILE exists, the
// writer thread stops at its next request and never answers: in JavaScript (`lock`), where the
// thread can be terminated, or in a system call (`call`), where it cannot.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { isMainThread, parentPort } from 'node:worker_threads'

const file = process.env.STUCK_WRITER_FILE
if (!isMainThread && parentPort) {
  parentPort.on('message', () => {
    if (!existsSync(file)) return
    if (readFileSync(file, 'utf8') === 'call') spawnSync('sleep', ['600'])
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
}
