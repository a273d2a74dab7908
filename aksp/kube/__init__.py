"""The Kubernetes API server: credentials, raw HTTP, lists page by page. Knows no policy.

Import the modules by name; importing them is cheap, `kubernetes` and `urllib3` are loaded by `config.connect`.
"""
