import { readFile } from 'node:fs/promises'

const file = new URL('../../docs/security.md', import.meta.url)

/** docs/security.md, and what stands in its blocks of code, by their language. */
export async function readSecurityDocument() {
  const text = await readFile(file, 'utf8')
  const blocks = [...text.matchAll(/```(\w+)\n(.*?)```/gs)]
  const written = (language: string) =>
    blocks.flatMap(([, of, content]) => (of === language ? [content!] : []))
  return { text, commands: written('sh'), configurations: written('yaml') }
}
