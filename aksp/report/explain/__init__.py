"""Explanations: one resource by all assignments, or one assignment by all resources."""
