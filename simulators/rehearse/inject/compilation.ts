import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const compilers = ['cc', 'gcc', 'clang']

/** Why a rehearsal that needs a preloaded library is skipped on this machine. */
export const NO_COMPILER = 'there is no Linux, or no C compiler (cc, gcc, clang), on this machine'

/**
 * Compiles a C file of this folder into a library in `dir`, to be preloaded before libc. Returns
 * the path of the library, or null on a system other than Linux or without a C compiler. Throws an
 * Error with the output of the compiler when the compilation fails.
 */
export function compileLibrary(source: string, dir: string): string | null {
  if (process.platform !== 'linux') return null
  const file = fileURLToPath(new URL(source, import.meta.url))
  const library = join(dir, source.replace('.c', '.so'))
  for (const compiler of compilers) {
    try {
      const args = ['-shared', '-fPIC', '-O2', '-o', library, file, '-ldl', '-lpthread']
      execFileSync(compiler, args, { stdio: 'pipe' })
      return library
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
    }
  }
  return null
}
