#!/usr/bin/env bash
# engine.sh FOLDER: a Docker engine of its own, at FOLDER/docker.sock, until it is told to end. Its images are in the cache;
# whoever comes second waits for the first to end. It takes root, and a machine that lets it mount and unshare. It leaves the machine's firewall and routes as they are, so a container
# reaches its neighbours, and a published port is reached from here, but nothing leads out.
set -euo pipefail
folder=$1
docker=${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge/docker
mkdir -p "$docker/data"
exec 8>"$docker/lock"
flock 8
export PATH=$docker/bin:$PATH DOCKER_CONFIG=$docker/config
cat >"$folder/daemon.json" <<'JSON'
{"builder": {"gc": {"enabled": true, "policy": [{"keepStorage": "2GB", "all": true}]}}}
JSON
exec dockerd --config-file "$folder/daemon.json" --host "unix://$folder/docker.sock" --pidfile "$folder/pid" \
  --exec-root "$folder/exec" --data-root "$docker/data" --bridge none \
  --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false
