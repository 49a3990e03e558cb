# The image of gateway and bridge, for amd64 and arm64. The build compiles no native code and no line
# names an architecture, because every package brings its binaries for both.
#
#   docker run --network host -v sluice:/data sluice            the gateway
#   docker run --network host -v sluice:/data --no-healthcheck sluice bridge
#
# Both containers mount one volume: outbox and inbox are the only connection between them.
#
# The image offers every command of ./sluice --help. It has no Java for a local Kafka and no C
# compiler: `up` needs kafka.brokers, and `rehearse` skips each fault that needs them, with the reason.

FROM node:24-bookworm-slim AS packages
WORKDIR /sluice
COPY package.json package-lock.json .npmrc ./
# Node for machines with an older Node is left out: this image has Node 24.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/node-linux-* node_modules/node-bin-*

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /sluice
# package-lock.json is left out, so the launcher compares nothing and installs nothing
COPY --from=packages /sluice/node_modules node_modules
COPY package.json sluice ./
COPY config config
COPY gateway gateway
COPY cloud-bridge cloud-bridge
COPY simulators simulators
# data/ is the default folder of all files and the volume. The folder belongs to the user that
# writes the files; a new volume gets the same owner.
RUN mkdir /data && chown node:node /data && ln -s /data data
# Node keeps one compile cache per user: the build fills the cache as the user that runs the image
RUN mkdir -p node_modules/.cache && chown node:node node_modules/.cache
USER node
RUN for part in gateway bridge status; do ./sluice $part --help >/dev/null || exit 1; done
VOLUME /data
# 1883: MQTT. 9464: health, readiness and metrics. Both are on loopback by default.
EXPOSE 1883 9464
# The check runs inside the container, so loopback suffices. The check asks the gateway's port: run
# a bridge with --no-healthcheck, or with a check of its own port 9465.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["node", "-e", "\
  fetch('http://127.0.0.1:' + (process.env.SLUICE_GATEWAY_HTTP_PORT ?? 9464) + '/health')\
  .then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Exec form, and the part replaces the launcher: process 1 is the part, gets the SIGTERM and drains.
ENTRYPOINT ["./sluice"]
CMD ["gateway"]
