ARG NODE_VERSION=26.10.0

FROM node:${NODE_VERSION}-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No package has to run anything to be installed; the image's own Node runs the bundler.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run bundle

FROM node:${NODE_VERSION}-slim
LABEL org.opencontainers.image.title="segue" \
      org.opencontainers.image.description="Zero-downtime PostgreSQL schema changes, coordinated with Kubernetes rollouts" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
# One file and PostgreSQL's parser, which it looks for beside itself; nothing is written, so the root file system may be
# read-only. Without its source map, which Node would keep in 80 MB of memory: functions keep their names in traces.
COPY --from=build /build/build/segue.mjs /build/build/libpg-query.wasm /app/
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/node", "/app/segue.mjs"]
