# One recipe for all processes: `docker build --build-arg SERVICE=audiences .` makes the image of one of them;
# `--target setup` the one that prepares an installation (keys, roles, migrations, topics), which needs the whole tree.

FROM node:24-bookworm-slim AS build
RUN npm install --global pnpm@12.21.0
WORKDIR /repo
# What is downloaded depends on the lockfile only, so changed sources download nothing.
COPY pnpm-lock.yaml pnpm-workspace.yaml package.json ./
COPY patches patches
RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm fetch --store-dir /pnpm/store
COPY . .
RUN --mount=type=cache,id=pnpm,target=/pnpm/store \
    pnpm install --frozen-lockfile --offline --store-dir /pnpm/store \
 && pnpm exec tsc -b

FROM build AS setup
# A new volume takes over owner and mode of the folder that it is mounted on.
RUN mkdir -m 700 /keys && chown 10001:10001 /keys
ENV NODE_ENV=production KEYS_DIR=/keys
USER 10001:10001
CMD ["node", "--conditions=@audience-sync/source", "infra/src/setup.ts"]

FROM build AS packed
ARG SERVICE
RUN --mount=type=cache,id=pnpm,target=/pnpm/store \
    pnpm --filter="@audience-sync/${SERVICE}" deploy --prod --store-dir /pnpm/store /out

FROM node:24-bookworm-slim AS service
ARG SERVICE
# Services listen on loopback unless told otherwise; in a container that would be nobody. With the young generation that Node
# chooses for itself, a page's buffers stay in memory long after their use.
ENV NODE_ENV=production NODE_OPTIONS="--enable-source-maps --max-semi-space-size=8" HOST=0.0.0.0 PROBE=/livez OTEL_SERVICE_NAME=${SERVICE}
WORKDIR /app
COPY --from=packed /out ./
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}${process.env.PROBE}`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--import", "@audience-sync/service/register", "dist/main.js"]
