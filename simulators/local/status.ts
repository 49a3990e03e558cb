import type { Config } from '../../config/config.ts'
import { withRunningKafka } from '../../config/local-run.ts'
import { exitStatusOf } from '../../config/process/exit-codes.ts'
import { fetchState } from '../processes/sluice-process.ts'
import { startDisplay } from './display.ts'
import { screenHeadings } from './screen.ts'

export type StatusOptions = { config: Config; json?: boolean; signal: AbortSignal }

/**
 * Shows the live screen of gateway and bridge until the signal, and returns exit code 0. With
 * `json` it prints their states once instead; the exit code is 1 when neither answers.
 */
export async function showStatus({ config, json = false, signal }: StatusOptions): Promise<number> {
  const fetchStates = async () => ({
    gateway: await fetchState<'gateway'>(config.gateway.http),
    bridge: await fetchState<'bridge'>(config.bridge.http),
  })
  if (json) {
    const state = await fetchStates()
    process.stdout.write(`${JSON.stringify(state)}\n`)
    return state.gateway || state.bridge ? 0 : 1
  }
  // The heading names the Kafka, so no further line does.
  const headings = screenHeadings(withRunningKafka(config, () => {}))
  const onInterrupt = 'Ctrl-C ends this screen; gateway and bridge continue.'
  await using _display = startDisplay({ fetchStates, headings, onInterrupt })
  await new Promise(resolve => signal.addEventListener('abort', resolve))
  return exitStatusOf('DONE')
}
