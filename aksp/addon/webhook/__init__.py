"""Sockets, TLS, HTTP and its limits, and what operators read."""
