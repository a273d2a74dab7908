"""The Kubernetes API server: credentials, raw HTTP, lists page by page. Knows no policy.

::

    kubeconfig   the files, merged            →  contexts, current context
    credentials  one context's entries        →  checked, with absolute paths
    config       the `kubernetes` package     →  Connection
    connection   raw GET, one attempt         →  Answer
    faults       what an attempt may meet     →  the ClusterError tree
    fetch        attempts with back-off       →  bytes, JSON
    lists        pages of a list, one ahead   →  Page
    kinds        where a kind's list is       →  Kind

Import the modules by name; importing them is cheap, `kubernetes` and `urllib3` are loaded by `config.connect`.
"""
