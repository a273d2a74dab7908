"""What is likely not meant in a workspace's assignments, exemptions and definitions."""
