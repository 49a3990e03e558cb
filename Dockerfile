# The edge image: gateway and cloud-bridge, for amd64 and arm64. Nothing in it is compiled here and
# no line names an architecture, because every package brings its binaries for both.
#
#   docker run --network host -v sluice:/data sluice            the gateway
#   docker run --network host -v sluice:/data --no-healthcheck sluice bridge
#
# Both mount one volume: the outbox and the inbox are all that is between them.

FROM node:24-bookworm-slim AS packages
WORKDIR /sluice
COPY package.json package-lock.json .npmrc ./
# optional are the Node binaries for machines without Node 24: this image is one
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /sluice
# package-lock.json stays behind: without it the launcher has nothing to compare or to install
COPY --from=packages /sluice/node_modules node_modules
COPY package.json sluice ./
COPY config config
COPY gateway gateway
COPY cloud-bridge cloud-bridge
# data/, where the files are unless configured otherwise, is the volume; it belongs to the user that
# writes it, and a new volume takes that over
RUN mkdir /data && chown node:node /data && ln -s /data data
# compiled once here, as the user that runs it: Node keeps one cache for each
RUN mkdir -p node_modules/.cache && chown node:node node_modules/.cache
USER node
RUN ./sluice gateway --help >/dev/null
VOLUME /data
# MQTT, and health, readiness and metrics; both on loopback until the configuration says otherwise
EXPOSE 1883 9464
# inside the container, so loopback is enough; a bridge needs --no-healthcheck or its own port 9465
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["node", "-e", "\
  fetch('http://127.0.0.1:' + (process.env.SLUICE_GATEWAY_HTTP_PORT ?? 9464) + '/health')\
  .then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# exec form, and the launcher gives its place to the part: process 1 gets the SIGTERM and drains
ENTRYPOINT ["./sluice"]
CMD ["gateway"]
