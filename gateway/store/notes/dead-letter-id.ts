/**
 * What identifies a dead letter of a gateway everywhere: the store's id in hex, the epoch of the
 * run that wrote the note, and the note's number. `run` is null for notes of early versions. Store
 * and number alone are not enough: after an old image of a card is restored, numbers repeat.
 */
export type DeadLetterIdentity = { store: string; run: number | null; number: number }

/** Formats `gateway/STORE/RUN/NUMBER`, or `gateway/STORE/NUMBER` where the run is unknown. */
export function deadLetterId({ store, run, number }: DeadLetterIdentity): string {
  return ['gateway', store, ...(run === null ? [] : [run]), number].join('/')
}

const ID = /^gateway\/([^/]+)\/(?:(\d{1,16})\/)?(\d{1,16})$/

/** Parses what `deadLetterId` formats; null for any other text. */
export function parseDeadLetterId(text: string): DeadLetterIdentity | null {
  const [, store, run, number] = ID.exec(text) ?? []
  if (store === undefined) return null
  return { store, run: run === undefined ? null : Number(run), number: Number(number) }
}
