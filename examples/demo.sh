#!/usr/bin/env bash
# Assigns two policies in a temporary workspace and judges examples/quickstart. Needs aksp on PATH.
set -eu
cd "$(dirname "$0")/.."

workspace=$(mktemp -d)
trap 'rm -rf "$workspace"' EXIT
export AKSP_WORKSPACE="$workspace"

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run aksp assign allowed-images --registry contoso.azurecr.io
run aksp assign resource-limits --cpu 1 --memory 512Mi

code=0
run aksp compliance -f examples/quickstart || code=$?
# 1 means that something does not comply, which is what the example is for.
printf '\nexit code %s\n' "$code"
test "$code" -eq 1
