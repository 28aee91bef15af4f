#!/usr/bin/env bash
# engine.sh FOLDER: runs a Docker engine of its own, with its socket at FOLDER/docker.sock, until a signal. Its images are
# in the cache. A second run waits for the first one to end. It needs root, and a machine that allows mount and unshare.
# It does not change the machine's firewall and routes, so a container reaches its neighbours, and this machine reaches
# published ports, but nothing leads to other machines.
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
