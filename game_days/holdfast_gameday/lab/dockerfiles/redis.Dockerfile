# Redis for a region without an image registry: the same base as the other images, with the distribution's redis-server.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server redis-tools \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*
USER 65532:65532
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["redis-server"]
CMD ["--appendonly", "yes", "--dir", "/data"]
