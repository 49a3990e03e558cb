import { readFileSync, statSync } from 'node:fs'

const REASONS: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  ENOTDIR: 'is below a file that is not a directory',
}

/**
 * Returns the text of a small file, or the reason why the file cannot be read, as the end of a
 * sentence.
 */
export function readText(path: string, maxBytes: number): { text: string } | { reason: string } {
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) return { reason: 'is a directory' }
    // A read of a pipe or a device may never end.
    if (!stats.isFile()) return { reason: 'is not a regular file' }
    if (stats.size > maxBytes) return { reason: `is larger than ${maxBytes} bytes` }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { reason: 'is not valid UTF-8' }
    return { reason: REASONS[code] ?? `cannot be read (${code})` }
  }
}
