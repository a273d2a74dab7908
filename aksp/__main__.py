"""``python -m aksp``: the same as the ``aksp`` command."""

from aksp.cli.app import entry

if __name__ == "__main__":
    entry()
