"""Gatekeeper's documents in and out: ConstraintTemplates, constraints, and the suites that test them."""
