"""What the formats of pipelines and code hosts share: findings told once, at their place in a repository."""
