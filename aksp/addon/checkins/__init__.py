"""Check-ins: a scan of the cluster by the replica that leads, and the statuses it writes."""
