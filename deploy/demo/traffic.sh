#!/usr/bin/env bash
# traffic.sh HOST PORT: runs the clients of the demo until a signal. They use each API, with and without a key, alone and
# concurrently. Some disconnect, and some meet a fault. The script needs only bash, since the image has no HTTP client.
set -u
host=$1
port=$2
trap 'exit 0' TERM INT

# ask PATH BODY LINES [FIELD...]: sends a request, reads LINES lines of the response and disconnects; 0: reads all of it.
ask() {
  local path=$1 body=$2 lines=$3 socket field
  shift 3
  exec {socket}<>"/dev/tcp/$host/$port" || return
  {
    printf 'POST %s HTTP/1.1\r\nhost: %s:%s\r\ncontent-type: application/json\r\n' "$path" "$host" "$port"
    printf 'content-length: %s\r\nconnection: close\r\n' "${#body}"
    for field; do printf '%s\r\n' "$field"; done
    printf '\r\n%s' "$body"
  } >&"$socket"
  if ((lines)); then head -n "$lines"; else cat; fi <&"$socket" >/dev/null
}

# client N: sends one request as the Nth kind of client.
client() {
  local models=(sim:small sim:large) faults=(error truncate reset) words prompt tokens model messages
  model=${models[RANDOM % 2]}
  printf -v words '%*s' $((10 + RANDOM % 190)) ''
  prompt=${words// /why }
  tokens=$((24 + RANDOM % 73))
  messages="[{\"role\":\"user\",\"content\":\"$prompt\"}]"
  case $(($1 % 6)) in
    0) ask /api/chat "{\"model\":\"$model\",\"messages\":$messages,\"options\":{\"num_predict\":$tokens}}" 0 \
      "authorization: Bearer $DEMO_KEY_CHAT" ;;
    1) ask /api/generate "{\"model\":\"$model\",\"prompt\":\"$prompt\",\"options\":{\"num_predict\":$tokens}}" 0 \
      "authorization: Bearer $DEMO_KEY_BATCH" ;;
    2) ask /v1/chat/completions "{\"model\":\"$model\",\"messages\":$messages,\"max_tokens\":$tokens,\"stream\":true,\
\"stream_options\":{\"include_usage\":true}}" 0 ;;
    3) ask /api/chat "{\"model\":\"$model\",\"messages\":$messages}" 20 "authorization: Bearer $DEMO_KEY_CHAT" ;;
    4) ask /api/chat "{\"model\":\"$model\",\"messages\":$messages,\"options\":{\"num_predict\":8}}" 0 \
      "x-simulate-fault: ${faults[RANDOM % 3]}" ;;
    5) ask /api/generate '{"model":"missing","prompt":"why"}' 0 ;;
  esac
}

asked=0
while :; do
  # In waves of one to many clients, since the concurrency curve needs every number of streams.
  for together in 1 2 1 3 4 1 6 9; do
    for ((n = 0; n < together; n++)); do
      client "$asked" 2>/dev/null &
      asked=$((asked + 1))
    done
    # A signal interrupts only `wait`.
    wait
    sleep 0.5 &
    wait
  done
done
