"""Reports: one pure function per format, all in one mapping (aksp.report.registry)."""
