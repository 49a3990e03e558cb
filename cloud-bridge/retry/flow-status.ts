import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  createCircuitBreaker,
} from './circuit-breaker.ts'

/** Whether a flow runs, or why it waits. */
export type FlowStatus = { status: 'running' } | { status: 'waiting'; reason: string }

/** The status of one flow and the state of its circuit breaker. */
export type FlowState = {
  flow: FlowStatus
  circuit: { state: CircuitState; failures: number }
}

/** The state of every flow, by name. */
export type FlowStates = Record<string, FlowState>

/**
 * Reports the status of one stream of work to Kafka: live events, backfill, notes, or the
 * events of an isolated partition.
 */
export type Flow = {
  circuit: CircuitBreaker
  setWaiting(reason: string): void
  setRunning(): void
  /** Removes the flow from the reports. */
  remove(): void
}

export type Flows = ReturnType<typeof createFlows>

/**
 * Names of flows are a contract of /state and of the metrics. Log lines and reasons use a clearer
 * text for these names.
 */
const FLOW_TEXTS: Record<string, string> = { behind: 'backfill', backfill: 'backlog split' }

const flowText = (name: string) => FLOW_TEXTS[name] ?? name
const isPlural = (name: string) => name.split(' ')[0]!.endsWith('s')

/** A sentence for a flow that waits: "events wait", "partition 3 waits". */
export const waitingText = (name: string) =>
  `${flowText(name)} ${isPlural(name) ? 'wait' : 'waits'}`

/** A sentence for a flow that runs: "events go to Kafka", "partition 3 goes to Kafka". */
export function runningText(name: string): string {
  // This flow sends nothing itself.
  if (name === 'backfill') return 'backlog split is possible again'
  return `${flowText(name)} ${isPlural(name) ? 'go' : 'goes'} to Kafka`
}

/** Why a flow waits; null when the flow runs or does not exist. */
export function waitReason(state: FlowState | undefined): string | null {
  return state?.flow.status === 'waiting' ? state.flow.reason : null
}

/** Collects the status of all flows; `onChange` is called when a flow starts or stops waiting. */
export function createFlows(
  options: CircuitBreakerOptions,
  onChange: (name: string, flow: FlowStatus) => void = () => {},
) {
  const flows = new Map<string, { circuit: CircuitBreaker; flow: FlowStatus }>()
  return {
    add(name: string): Flow {
      const circuit = createCircuitBreaker(options)
      const entry = { circuit, flow: { status: 'running' } as FlowStatus }
      flows.set(name, entry)
      const set = (flow: FlowStatus) => {
        if (flow.status !== entry.flow.status) onChange(name, flow)
        entry.flow = flow
      }
      return {
        circuit,
        setWaiting: reason => set({ status: 'waiting', reason }),
        setRunning: () => set({ status: 'running' }),
        remove: () => void flows.delete(name),
      }
    },
    get states(): FlowStates {
      return Object.fromEntries(
        [...flows].map(
          ([
            name,
            {
              flow,
              circuit: { state, failures },
            },
          ]) => [name, { flow, circuit: { state, failures } }],
        ),
      )
    },
  }
}
