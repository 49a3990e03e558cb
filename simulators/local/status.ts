import type { Config } from '../../config/config.ts'
import { fetchState } from '../processes/sluice-process.ts'
import { startDisplay } from './display.ts'

export type StatusOptions = { config: Config; json?: boolean; signal: AbortSignal }

/** Shows running processes until the signal, or prints their state once. Exit code 1: none runs. */
export async function showStatus({ config, json = false, signal }: StatusOptions): Promise<number> {
  const ask = async () => ({
    gateway: await fetchState<'gateway'>(config.gateway.http),
    bridge: await fetchState<'bridge'>(config.bridge.http),
  })
  if (json) {
    const state = await ask()
    process.stdout.write(`${JSON.stringify(state)}\n`)
    return state.gateway || state.bridge ? 0 : 1
  }
  await using _display = startDisplay({ fetchStates: ask })
  await new Promise(resolve => signal.addEventListener('abort', resolve))
  return 0
}
