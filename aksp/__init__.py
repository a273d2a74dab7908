"""Azure Policy for AKS on any terminal, for any Kubernetes cluster."""

__version__ = "0.1.0"
