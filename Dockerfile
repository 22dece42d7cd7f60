# Two images from one file:
#   docker build --target server  -t gatehouse:0.1.0 .
#   docker build --target outpost -t gatehouse-outpost:0.1.0 .
# How to run them: docs/guides/docker.md
ARG NODE_IMAGE=node:24-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY LICENSE tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN node scripts/prepare.mjs --build \
 && mkdir /images \
 && node scripts/image-tree.ts server /images/server \
 && node scripts/image-tree.ts outpost /images/outpost

FROM ${NODE_IMAGE} AS base
# The only folder that is written to, besides /tmp: with a volume here the root may be read-only.
RUN install -d -o 1000 -g 1000 -m 0700 /data
ENV NODE_ENV=production \
    GATEHOUSE_DATA=/data
WORKDIR /app
USER 1000:1000
VOLUME ["/data"]
EXPOSE 9000 9443 9300
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 CMD ["node", "/app/dist/main.js", "healthcheck"]
ENTRYPOINT ["node", "/app/dist/main.js"]

# Near the applications: nothing of the identity server is in it.
FROM base AS outpost
COPY --from=build /images/outpost /app
CMD ["outpost"]

# The identity server with its embedded outpost; what a build without --target makes.
FROM base AS server
COPY --from=build /images/server /app
CMD ["serve"]
