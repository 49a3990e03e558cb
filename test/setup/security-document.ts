import { readFile } from 'node:fs/promises'

const file = new URL('../../docs/security.md', import.meta.url)

/** docs/security.md, and its code blocks of shell commands and YAML configurations. */
export async function readSecurityDocument() {
  const text = await readFile(file, 'utf8')
  const blocks = [...text.matchAll(/```(\w+)\n(.*?)```/gs)]
  const blocksIn = (language: string) =>
    blocks.flatMap(([, blockLanguage, content]) => (blockLanguage === language ? [content!] : []))
  return { text, commands: blocksIn('sh'), configurations: blocksIn('yaml') }
}
