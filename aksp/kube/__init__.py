"""The Kubernetes API server: credentials, raw HTTP, lists page by page. Knows no policy.

::

    kubeconfig   the files, merged            →  contexts, current context
    credentials  one context's entries        →  checked, with absolute paths
    config       the `kubernetes` package     →  Connection
    connection   raw HTTP, one attempt        →  Answer, or lines as they come
    faults       what an attempt may meet     →  the ClusterError tree
    fetch        attempts with back-off       →  bytes, JSON
    lists        pages of a list, one ahead   →  Page
    kinds        where a kind's list is       →  Kind
    objects      documents written and read   →  dicts
    watch        a list kept up to date       →  calls, in a thread
    lease        who leads                    →  calls, in a thread

Import the modules by name; importing them is cheap, `kubernetes` and `urllib3` are loaded by `config.connect`.
"""
