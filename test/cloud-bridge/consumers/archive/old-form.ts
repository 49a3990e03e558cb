import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  lineText,
  NO_PREVIOUS_HASH,
  parseLine,
} from '../../../../cloud-bridge/consumers/archive/manifest/entry.ts'
import { listFiles, newestManifest } from './fixture.ts'

const oldName = (name: string) => name.replace(/^(events\/date=[^/]+\/)/, '$1zone=')

/** Gives an archive of one day the form of earlier versions: the folders of zones are `zone=Z`. */
export function toOldForm(dir: string): void {
  const names = listFiles(dir)
  for (const name of names) {
    mkdirSync(dirname(join(dir, oldName(name))), { recursive: true })
    renameSync(join(dir, name), join(dir, oldName(name)))
  }
  for (const name of names) rmSync(dirname(join(dir, name)), { recursive: true, force: true })
  const manifest = newestManifest(dir)
  let before = NO_PREVIOUS_HASH
  const lines = readFileSync(manifest, 'utf8').trimEnd().split('\n')
  const renamed = lines.map(text => {
    const { sha256: _, ...line } = parseLine(text)!
    if (line.kind === 'commit') for (const file of line.files) file.name = oldName(file.name)
    const written = lineText({ ...line, before })
    before = written.sha256
    return written.text
  })
  writeFileSync(manifest, `${renamed.join('\n')}\n`)
}
