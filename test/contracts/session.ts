/** The shortest session that Kafka takes. */
export const SESSION_MS = 6000
