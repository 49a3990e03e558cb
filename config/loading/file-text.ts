import { readFileSync, statSync } from 'node:fs'

const reasons: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  ENOTDIR: 'lies beneath something that is not a directory',
}

/** The text of a small file, or why it could not be had, as the end of a sentence. */
export function readText(path: string, maxBytes: number): { text: string } | { reason: string } {
  try {
    const found = statSync(path)
    if (found.isDirectory()) return { reason: 'is a directory' }
    // Reading a pipe or a device could wait, or go on, for ever.
    if (!found.isFile()) return { reason: 'is not a regular file' }
    if (found.size > maxBytes) return { reason: `is larger than ${maxBytes} bytes` }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { reason: 'is not valid UTF-8' }
    return { reason: reasons[code] ?? `cannot be read (${code})` }
  }
}
