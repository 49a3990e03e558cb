import type { Simulation } from '../../../simulators/pipeline/pipeline.ts'
import {
  type Stage,
  type StageOptions,
  startStage,
} from '../../../simulators/rehearse/stage/stage.ts'
import { cacheDir } from '../../setup/kafka/java.ts'

/** Starts a stage with 500 readings a second; a Kafka is started unless brokers are given. */
export function startTestStage(
  simulation: Partial<Simulation>,
  kafka: StageOptions['kafka'] = {},
  extraEnv: StageOptions['extraEnv'] = {},
): Promise<Stage> {
  const env = process.env
  return startStage({
    simulation: { ratePerSecond: 500, ...simulation },
    cacheDir,
    kafka,
    env,
    extraEnv,
  })
}
