"""The add-on: refuses at admission what assignments refuse, and reports states to the cluster.

::

    names         what its objects in the cluster are called
    policies      custom resources            →  what is in force, and what is wrong with the rest
    decision      (pure) findings             →  allowed or refused, with the words for it
    reviewer      AdmissionReview, as bytes   →  Decision, judged by the engine
    webhook       HTTP: limits, answers       →  the ASGI application
    server        TLS, time limits, signals   →  the process that listens
    certificates  CA and serving certificate  →  made, rotated
    checkin       one scan of the cluster     →  statuses and reports, in a process of its own
    denials       what was refused            →  PolicyDenials and Events
    metrics, logs                             →  Prometheus, JSON lines
    manifests     what `aksp addon enable` applies
    run           the composition of the process

Every replica answers reviews; the leader checks in.
"""
