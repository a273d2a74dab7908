"""A cluster's compliance, kept up to date while it is watched.

Objects are judged as in a scan, and what was found is counted by the same code: only that it is kept by object, so that
one that changes can take the place of what it was.

    ledger     what was found of each object; counts, results, and what changed in them
    judge      objects judged as in a scan
    compared   what referential rules compare with, and the objects that they judge
    watcher    what comes from the cluster is judged and put into the ledger
"""
