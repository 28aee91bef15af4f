# streamgauge only: one binary on a slim Debian. It needs BuildKit, which `docker build` uses by default.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# .cargo/config.toml turns on Tokio's unstable metrics.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock build.rs ./
# These documents are compiled in, since the tokenizer benchmark encodes them.
COPY README.md ./
COPY docs/explanation/*.md docs/explanation/
COPY docs/how-to/*.md docs/how-to/
COPY docs/reference/*.md docs/reference/
COPY crates crates
COPY src src
# The manifests name benches, examples and tests, whose files are not copied, so their sections are removed.
# Cargo compares dates, and the cached target folder may be newer than a changed file, so the files are touched.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    sed -i '/^\[\[\(bench\|example\|test\)\]\]$/,/^$/d' Cargo.toml crates/*/Cargo.toml \
    && touch build.rs src/lib.rs src/main.rs crates/*/src/lib.rs \
    && cargo build --locked --release \
    && install -D target/release/streamgauge /out/streamgauge

FROM debian:bookworm-slim
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/streamgauge/
# The certificate authorities for https upstreams.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/streamgauge /usr/local/bin/streamgauge
# Nobody outside a container can connect to its loopback address. `docker run --publish` decides which ports are open.
ENV STREAMGAUGE_PROXY__LISTEN=0.0.0.0:11434 \
    STREAMGAUGE_ADMIN__LISTEN=0.0.0.0:9464 \
    STREAMGAUGE_UPSTREAM=ollama=http://ollama:11434
EXPOSE 11434 9464
# A number, so that Kubernetes can verify that it is not root. The sidecar writes no files.
USER 65532:65532
# Asks /readyz. The URL is given, since the check does not know the arguments of the sidecar.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["streamgauge", "probe", "http://127.0.0.1:9464"]
ENTRYPOINT ["streamgauge"]
CMD ["serve"]

# The labels are last, since they change with every commit.
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
