"""The add-on: refuses at admission what assignments refuse, and reports states to the cluster.

docs/architecture.md tells the modules by what they work on. Every replica answers reviews; the leader checks in.
"""
