import type { RecordedCall } from '../recording/recorded-calls.ts'
import { createFileContents, type FileContents } from './file-contents.ts'

/** A change of the directory that no fsync has made durable yet. */
type NameChange =
  | { kind: 'link'; name: string; file: FileContents }
  | { kind: 'unlink'; name: string }
  | { kind: 'rename'; from: string; to: string; file: FileContents }

export type ModelDisk = ReturnType<typeof createModelDisk>

/**
 * Creates a model of a disk. The model gets each call on the files below one folder and computes
 * the files that a power cut may leave. Folders are never lost. The guarantees for files are weaker
 * than those of ext4, XFS and btrfs:
 *
 * - Writes to a file are durable once the file was fsynced. Of the writes after the fsync, the
 *   medium has none, all, the first writes and a part of the next write, or any writes in any
 *   order. Each write is complete or torn. Of a torn write the medium has some 512-byte sectors,
 *   sometimes a prefix of any length. A file may have its new length without the bytes that
 *   extended the file, with zeros or garbage in their place.
 * - A name (created, renamed, removed) is durable once its folder or the named file was fsynced. Of
 *   the changes to names after the fsync, the medium has none, all, the first changes, or any.
 * - Bytes beside a write never change, and fsynced bytes stay. The model has no medium that breaks
 *   this rule.
 */
export function createModelDisk() {
  const handles = new Map<string, FileContents | Folder>()
  const names = new Map<string, FileContents>()
  const durableNames = new Map<string, FileContents>()
  let pending: NameChange[] = []

  const rename = (change: NameChange) => {
    pending.push(change)
    applyNameChange(names, change)
  }
  const open = ({ handle, name, isEmptied, isDirectory }: RecordedCall & { kind: 'open' }) => {
    if (isDirectory) return void handles.set(handle, { folder: name })
    const known = names.get(name)
    const file = known ?? createFileContents()
    if (!known) rename({ kind: 'link', name, file })
    if (isEmptied) file.change({ size: 0 })
    handles.set(handle, file)
  }
  const syncNames = (isSelected: (change: NameChange) => boolean) => {
    for (const change of pending.filter(isSelected)) applyNameChange(durableNames, change)
    pending = pending.filter(change => !isSelected(change))
  }
  const sync = (file: FileContents | Folder) => {
    if ('folder' in file) {
      return syncNames(change => namesOf(change).some(name => folderOf(name) === file.folder))
    }
    file.sync()
    // All pending changes of the file's names become durable, also changes by which another file
    // had the name, because the changes of one name stay in order.
    const ownNames = new Set(
      pending.flatMap(change => ('file' in change && change.file === file ? namesOf(change) : [])),
    )
    syncNames(change => namesOf(change).some(name => ownNames.has(name)))
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
        if (!file) throw new Error(`${call.kind} on handle ${call.handle}, which was not opened`)
        if (call.kind === 'sync') sync(file)
        else if ('folder' in file)
          throw new Error(`${call.kind} on a folder, handle ${call.handle}`)
        else file.change(call.kind === 'write' ? { at: call.offset, bytes: call.bytes } : call)
      }
    },
    /** The files as a reader sees them now, including writes that are not durable yet. */
    get now(): Map<string, Buffer> {
      return new Map([...names].map(([name, file]) => [name, file.now]))
    },
    /** The files that a power cut at this moment leaves. `random` decides which changes survive. */
    afterCut(random: () => number): Map<string, Buffer> {
      const surviving = new Map(durableNames)
      for (const change of survivingChanges(pending, random)) applyNameChange(surviving, change)
      return new Map([...surviving].map(([name, file]) => [name, file.afterCut(random)]))
    },
  }
}

/** An open folder, by its path below the recorded folder; '' for that folder itself. */
type Folder = { folder: string }

const folderOf = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('/')))

const namesOf = (change: NameChange) =>
  change.kind === 'rename' ? [change.from, change.to] : [change.name]

function applyNameChange(names: Map<string, FileContents>, change: NameChange): void {
  if (change.kind === 'unlink') return void names.delete(change.name)
  if (change.kind === 'link') return void names.set(change.name, change.file)
  names.delete(change.from)
  names.set(change.to, change.file)
}

function survivingChanges(changes: NameChange[], random: () => number): NameChange[] {
  const draw = random()
  if (draw < 0.2) return []
  if (draw < 0.4) return changes
  if (draw < 0.7) return changes.slice(0, Math.floor(random() * (changes.length + 1)))
  return changes.filter(() => random() < 0.5)
}
