import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  createCircuitBreaker,
} from './circuit-breaker.ts'

/** What goes to Kafka on its own: events, what goes behind them, notes, partitions apart. */
export type Flow = {
  circuit: CircuitBreaker
  /** Why it does not go now. */
  unavailable(reason: string): void
  /** It goes. */
  available(): void
  /** There is no such flow any more. */
  remove(): void
}

/** Why each flow does not go now, null for those that do; and the states of their circuits. */
export type FlowStates = {
  waitReasons: Record<string, string | null>
  circuits: Record<string, { state: CircuitState; failures: number }>
}

export type Flows = ReturnType<typeof createFlows>

const isSeveral = (flow: string) => flow.split(' ')[0]!.endsWith('s')

/** That a flow waits, as a sentence: events wait, partition 3 waits. */
export const waitingText = (flow: string) => `${flow} ${isSeveral(flow) ? 'wait' : 'waits'}`

/** That a flow goes. */
export const runningText = (flow: string) => `${flow} ${isSeveral(flow) ? 'go' : 'goes'} to Kafka`

/** Keeps what others are told of each flow; `onChange` hears when one stops and when it goes on. */
export function createFlows(
  options: CircuitBreakerOptions,
  onChange: (flow: string, away: string | null) => void = () => {},
) {
  const all = new Map<string, { circuit: CircuitBreaker; away: string | null }>()
  return {
    begin(name: string): Flow {
      const flow = { circuit: createCircuitBreaker(options), away: null as string | null }
      all.set(name, flow)
      const set = (away: string | null) => {
        if ((away === null) !== (flow.away === null)) onChange(name, away)
        flow.away = away
      }
      return {
        circuit: flow.circuit,
        unavailable: set,
        available: () => set(null),
        remove: () => void all.delete(name),
      }
    },
    get states(): FlowStates {
      const each = [...all]
      return {
        waitReasons: Object.fromEntries(each.map(([name, { away }]) => [name, away])),
        circuits: Object.fromEntries(
          each.map(([name, { circuit }]) => [
            name,
            { state: circuit.state, failures: circuit.failures },
          ]),
        ),
      }
    },
  }
}
