"""The floor of a live scan: lists all Pods page by page through the kubernetes package and drops the bytes.

`python bench/rawlist.py KUBECONFIG [CHUNK]` prints JSON: seconds of the listing alone, bytes, pages.
"""

import json
import re
import sys
import time
from typing import Any

from kubernetes import client, config

_CONTINUE = re.compile(rb'"continue":"([^"]+)"')


def main() -> int:
    # The package is typed in some versions only, and never for what `_preload_content=False` returns.
    settings: Any = config
    api: Any = client.CoreV1Api(settings.new_client_from_config(sys.argv[1]))
    chunk = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    began = time.monotonic()
    size = pages = 0
    token: str | None = None
    while pages == 0 or token:
        answer = api.list_pod_for_all_namespaces(limit=chunk, _continue=token, _preload_content=False)
        data = answer.read(decode_content=True)
        size += len(data)
        pages += 1
        found = _CONTINUE.search(data, 0, 1000)
        token = found[1].decode() if found else None
    print(json.dumps({"seconds": time.monotonic() - began, "bytes": size, "pages": pages}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
