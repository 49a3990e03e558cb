import type { RecordedCall } from '../recording/recorded-calls.ts'
import { createFileContents, type FileContents } from './file-contents.ts'

/** A change of the directory that no fsync has covered yet. */
type NameChange =
  | { kind: 'link'; name: string; file: FileContents }
  | { kind: 'unlink'; name: string }
  | { kind: 'rename'; from: string; to: string; file: FileContents }

export type ModelDisk = ReturnType<typeof createModelDisk>

/**
 * A disk that is told each call on the files of one folder, and says what a power cut may leave.
 * What it promises is less than ext4, XFS and btrfs do:
 *
 * - What was written to a file lasts once that file was fsynced. Of what was written since, there
 *   is on the medium: nothing, all, the first calls and a part of the next, or any of them in any
 *   order, each whole or torn: some of its 512-byte sectors, now and then cut at any byte. A file
 *   may be as long as it was made while what made it longer is missing: zeros, or garbage.
 * - A name (created, renamed, removed) lasts once its folder was fsynced, or the file it names; of
 *   what happened to names since, there is nothing, all, the first, or any of them.
 * - Bytes beside a write are never touched, and what was fsynced stays: a medium that lies about
 *   that is not modelled.
 */
export function createModelDisk() {
  const handles = new Map<string, FileContents | 'folder'>()
  const names = new Map<string, FileContents>()
  const lasting = new Map<string, FileContents>()
  let pending: NameChange[] = []

  const rename = (change: NameChange) => {
    pending.push(change)
    makeName(names, change)
  }
  const open = ({ handle, name, isEmptied, isDirectory }: RecordedCall & { kind: 'open' }) => {
    if (isDirectory) return void handles.set(handle, 'folder')
    const known = names.get(name)
    const file = known ?? createFileContents()
    if (!known) rename({ kind: 'link', name, file })
    if (isEmptied) file.change({ size: 0 })
    handles.set(handle, file)
  }
  const syncNames = (isMeant: (change: NameChange) => boolean) => {
    for (const change of pending.filter(isMeant)) makeName(lasting, change)
    pending = pending.filter(change => !isMeant(change))
  }
  const sync = (file: FileContents | 'folder') => {
    if (file === 'folder') return syncNames(() => true)
    file.sync()
    // A name that is to last must be free of what was done to it before.
    const own = new Set(
      pending.flatMap(change => ('file' in change && change.file === file ? touched(change) : [])),
    )
    syncNames(change => touched(change).some(name => own.has(name)))
  }

  return {
    apply(call: RecordedCall): void {
      if (call.kind === 'open') open(call)
      else if (call.kind === 'unlink') {
        if (names.has(call.name)) rename({ kind: 'unlink', name: call.name })
      } else if (call.kind === 'rename') {
        const file = names.get(call.from)
        if (file) rename({ ...call, file })
      } else if (call.kind !== 'mark') {
        const file = handles.get(call.handle)
        if (!file) throw new Error(`the recording does not say what ${call.handle} is`)
        if (call.kind === 'sync') sync(file)
        else if (file === 'folder') throw new Error('a folder cannot be written')
        else file.change(call.kind === 'write' ? { at: call.offset, bytes: call.bytes } : call)
      }
    },
    /** The files as who reads them now sees them. */
    get now(): Map<string, Buffer> {
      return new Map([...names].map(([name, file]) => [name, file.now]))
    },
    /** The files that a power cut at this moment leaves, by chance. */
    afterCut(random: () => number): Map<string, Buffer> {
      const left = new Map(lasting)
      for (const change of survivingNames(pending, random)) makeName(left, change)
      return new Map([...left].map(([name, file]) => [name, file.afterCut(random)]))
    },
  }
}

const touched = (change: NameChange) =>
  change.kind === 'rename' ? [change.from, change.to] : [change.name]

function makeName(names: Map<string, FileContents>, change: NameChange): void {
  if (change.kind === 'unlink') return void names.delete(change.name)
  if (change.kind === 'link') return void names.set(change.name, change.file)
  names.delete(change.from)
  names.set(change.to, change.file)
}

function survivingNames(changes: NameChange[], random: () => number): NameChange[] {
  const how = random()
  if (how < 0.2) return []
  if (how < 0.4) return changes
  if (how < 0.7) return changes.slice(0, Math.floor(random() * (changes.length + 1)))
  return changes.filter(() => random() < 0.5)
}
