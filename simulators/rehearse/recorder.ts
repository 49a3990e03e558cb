import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SOURCE = fileURLToPath(new URL('./recorder.c', import.meta.url))
const COMPILERS = ['cc', 'gcc', 'clang']

/**
 * Compiles the recorder into `dir` and gives the library's path; null where it cannot be: no C
 * compiler, or no Linux. Throws an Error with the compiler's words when it refuses our source.
 */
export async function compileRecorder(dir: string): Promise<string | null> {
  if (process.platform !== 'linux') return null
  const library = join(dir, 'recorder.so')
  for (const compiler of COMPILERS) {
    try {
      await run(compiler, ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl', '-lpthread'])
      return library
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
    }
  }
  return null
}

/** What a process must have in its environment to be recorded: which files, and into what log. */
export const recordedBy = (library: string, recording: { dir: string; log: string }) => ({
  LD_PRELOAD: library,
  SLUICE_RECORD_DIR: recording.dir,
  SLUICE_RECORD_LOG: recording.log,
})
