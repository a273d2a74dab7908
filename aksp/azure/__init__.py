"""Azure Policy's own documents, read into a workspace."""
