"""One module per command: its options, and what calls the rest. `aksp.cli.root` finds them here.

A module is named like its command, and has ``PLACE``, its place in the list of commands, and either ``app``, a typer
application of subcommands, or a function named like the command.
"""
