import type { Simulation } from '../../../simulators/pipeline/pipeline.ts'
import {
  type Stage,
  type StageOptions,
  startStage,
} from '../../../simulators/rehearse/stage/stage.ts'
import { cacheDir } from '../../setup/kafka/java.ts'

/** The main job at 500 readings a second, with a Kafka of its own unless brokers are given. */
export function startTestJob(
  simulation: Partial<Simulation>,
  kafka: StageOptions['kafka'] = {},
  partEnv: StageOptions['partEnv'] = {},
): Promise<Stage> {
  const env = process.env
  return startStage({
    simulation: { ratePerSecond: 500, ...simulation },
    cacheDir,
    kafka,
    env,
    partEnv,
  })
}
