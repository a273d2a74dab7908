"""One module per format, named like it, with ``FORMAT``. `aksp.report.registry` finds them here."""
