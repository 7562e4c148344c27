# It can't be built where Segue is made today, for no Docker engine runs there; so its two bases are pinned by tag and not
# by digest, which nobody has seen. The same files run in an image that is made without an engine (dev/cluster/image.ts).
ARG NODE_VERSION=26.10.0

FROM node:${NODE_VERSION}-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No package has to run anything to be installed; the image's own Node runs the bundler.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run bundle
# The one library that Node needs (since 25) and that the last stage lacks; where it lies depends on the processor.
RUN cp "$(ldconfig -p | awk '/libatomic\.so\.1 / { print $NF; exit }')" build/libatomic.so.1

# The C and C++ libraries of the same Debian, and nothing else: no shell, no package manager, no npm.
FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.title="segue" \
      org.opencontainers.image.description="Zero-downtime PostgreSQL schema changes, coordinated with Kubernetes rollouts" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /build/build/libatomic.so.1 /usr/lib/
# One file and PostgreSQL's parser, which it looks for beside itself; nothing is written, so the root file system may be
# read-only. Without its source map, which Node would keep in 80 MB of memory: functions keep their names in traces.
COPY --from=build /build/build/segue.mjs /build/build/libpg-query.wasm /app/
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/node", "/app/segue.mjs"]
