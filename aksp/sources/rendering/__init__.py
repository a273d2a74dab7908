"""Charts and overlays, rendered by the tools that are installed: helm, kustomize, kubectl."""
