"""A cluster that is followed: lists, then their changes as they come, and which lists cannot be had."""
