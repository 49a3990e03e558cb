import type { Config } from '../../config/config.ts'

/** The topic to which the example consumer `wasted-energy` sends alerts for people. */
export const ALERTS_TOPIC = 'sluice.alerts'

export type EffectTopic = { topic: string; isCompacted: boolean }

/**
 * The topics to which the consumers of this project send effects. Each should have as many
 * partitions as the readings topic, so that a zone has the same partition number in each topic.
 */
export const effectTopicsOf = ({ consumers }: Pick<Config, 'consumers'>): EffectTopic[] => [
  { topic: consumers.analytics.topic, isCompacted: true },
  { topic: ALERTS_TOPIC, isCompacted: false },
]
