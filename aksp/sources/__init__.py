"""Where the objects to judge come from: a live cluster, or manifests."""
