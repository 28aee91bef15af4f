# streamgauge alone: one binary on a slim Debian. It takes BuildKit, which is what `docker build` uses.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# With .cargo/config.toml, which turns Tokio's unstable metrics on.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock build.rs ./
# Prose that an experiment tokenizes is compiled in.
COPY README.md ./
COPY docs/explanation/*.md docs/explanation/
COPY docs/how-to/*.md docs/how-to/
COPY docs/reference/*.md docs/reference/
COPY crates crates
COPY src src
# The manifests name benches, examples and tests, whose files are not here: without their sections they ask for none.
# Cargo goes by dates, and the kept target folder may be younger than a file that has changed: hence the touch.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    sed -i '/^\[\[\(bench\|example\|test\)\]\]$/,/^$/d' Cargo.toml crates/*/Cargo.toml \
    && touch build.rs src/lib.rs src/main.rs crates/*/src/lib.rs \
    && cargo build --locked --release \
    && install -D target/release/streamgauge /out/streamgauge

FROM debian:bookworm-slim
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/streamgauge/
# Whom an upstream of https is vouched for by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/streamgauge /usr/local/bin/streamgauge
# Inside a container, loopback is nobody's; what is published is said from outside.
ENV STREAMGAUGE_PROXY__LISTEN=0.0.0.0:11434 \
    STREAMGAUGE_ADMIN__LISTEN=0.0.0.0:9464 \
    STREAMGAUGE_UPSTREAM=ollama=http://ollama:11434
EXPOSE 11434 9464
# A number, so that Kubernetes can see that it is not root. It writes no file anywhere.
USER 65532:65532
# Asks /readyz. With a URL, for the check knows none of the arguments that the sidecar was started with.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["streamgauge", "probe", "http://127.0.0.1:9464"]
ENTRYPOINT ["streamgauge"]
CMD ["serve"]

# Last, for they change with every commit.
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="streamgauge" \
      org.opencontainers.image.description="An observability sidecar for Ollama" \
      org.opencontainers.image.url="https://github.com/streamgauge/streamgauge" \
      org.opencontainers.image.source="https://github.com/streamgauge/streamgauge" \
      org.opencontainers.image.documentation="https://github.com/streamgauge/streamgauge/blob/main/docs/how-to/docker.md" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
