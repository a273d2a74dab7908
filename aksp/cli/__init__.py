"""The command line: one module per command, errors turned into exit codes in app.py alone."""
