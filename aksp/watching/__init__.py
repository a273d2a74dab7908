"""A cluster's compliance, kept up to date while it is watched.

Objects are judged as in a scan, and what was found is counted by the same code: only that it is kept by object, so that
one that changes can take the place of what it was.
"""
