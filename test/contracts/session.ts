/** The shortest session timeout that Kafka accepts. */
export const SESSION_MS = 6000
