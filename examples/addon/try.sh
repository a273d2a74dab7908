#!/usr/bin/env bash
# Runs the add-on on this machine for a cluster of your kubeconfig, shows what it does, and takes it away again.
# For a cluster to play with, whose API server can reach this machine. Needs aksp with the extra `addon`, and kubectl.
set -eu

if test $# -lt 1; then
  echo "usage: $0 CONTEXT [ADDRESS]    ADDRESS: this machine as the API server reaches it; default 127.0.0.1" >&2
  exit 2
fi
context=$1
address=${2:-127.0.0.1}
port=${AKSP_TRY_PORT:-8443}
plain=${AKSP_TRY_METRICS_PORT:-8080}
cd "$(dirname "$0")"

if kubectl --context "$context" get crd policyassignments.policy.aksp.io >/dev/null 2>&1 ||
  kubectl --context "$context" get namespace shop >/dev/null 2>&1; then
  echo "$context has the add-on or a namespace shop already: nothing is done" >&2
  exit 1
fi

work=$(mktemp -d)
pid=
clean() {
  test -z "$pid" || { kill "$pid" 2>/dev/null || true; wait "$pid" || true; }
  aksp addon disable --context "$context" >/dev/null
  kubectl --context "$context" delete namespace shop --ignore-not-found >/dev/null
  rm -rf "$work"
}
trap clean EXIT

show() { printf '\n$ %s\n' "$*"; }
run() {
  show "$@"
  "$@"
}

kubectl --context "$context" create namespace shop
run aksp addon enable --context "$context" --webhook-url "https://$address:$port/v1/admit"
set -- aksp addon run --context "$context" --listen "0.0.0.0:$port" --metrics-listen "127.0.0.1:$plain" \
  --sync-interval 30s --shutdown-delay 0s
show "$@"
"$@" 2>"$work/log" &
pid=$!

run kubectl --context "$context" apply -f resources
# 4 until everything is in force and judged.
for _ in $(seq 60); do
  if aksp addon status --context "$context" >/dev/null 2>&1; then break; fi
  sleep 1
done
run aksp addon status --context "$context"

run kubectl --context "$context" apply -f web.yaml
sleep 3
run kubectl --context "$context" -n shop get deployments,replicasets,pods
run kubectl --context "$context" -n shop describe replicasets
run aksp denials --context "$context"
