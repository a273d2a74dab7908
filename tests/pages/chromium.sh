#!/usr/bin/env bash
# Sees to it that there is a Chromium for the tests of the HTML report: one on PATH, else Debian's or Ubuntu's package.
set -euo pipefail
for name in chromium chromium-browser google-chrome google-chrome-stable; do
	if command -v "$name" >/dev/null; then
		exit 0
	fi
done
if command -v apt-get >/dev/null; then
	as_root=()
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "make pages needs Chromium: install it, or run this as root so that apt-get can" >&2
			exit 1
		fi
		as_root=(sudo -n)
	fi
	"${as_root[@]}" apt-get update -qq
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
	command -v chromium >/dev/null && exit 0
fi
echo "make pages needs Chromium or Google Chrome on PATH: see https://www.chromium.org/getting-involved/download-chromium/" >&2
exit 1
