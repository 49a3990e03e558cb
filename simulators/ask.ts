/**
 * Asks a part for a page, over a connection of its own: one that was kept may have been closed
 * meanwhile, and who was busy sees that only when he asks. Rejects when nobody answers.
 */
export function ask(url: string, signal: AbortSignal | null = null): Promise<Response> {
  return fetch(url, { signal, headers: { connection: 'close' } })
}
