"""The add-on: refuses at admission what assignments refuse, and reports states to the cluster.

::

    names, settings     what its objects are called, and what can be chosen about them
    crds, schema        the custom resources' definitions
    rbac, workload, manifests    what `aksp addon enable` applies; installation applies it, and takes it away
    overview            `aksp addon status`

    resources, compared    custom resources, and the objects that rules compare with, watched
    policies, definitions, compiled, documents, problems
                        custom resources           →  what is in force, and what is wrong with the rest
    keeper              keeps that up to date, in a thread; rules and configuration tell the API server
    leader              check-ins, one after the other, by whoever leads

    webhook, protocol, server    HTTP and TLS, with limits on everything
    certificates, tls, certificate_secret, certificate_folder
                        CA and serving certificate: made, found, rotated
    reviewer            AdmissionReview, as bytes  →  Decision, judged by the engine
    precedents          what was decided of objects that are alike
    review, wording, decision    (pure) findings   →  allowed or refused, and the words for it

    checkin, summary    one scan of the cluster    →  statuses and reports, in a process of its own
    status, asked, writing, reports     what it writes; whether the API server asks about it
    denials, refusals, events, outbox              what was refused  →  PolicyDenials and Events
    metrics, logs       Prometheus, JSON lines
    run                 the composition of the process

Every replica answers reviews; the leader checks in.
"""
