"""From custom resources to what is in force, and what the API server is told to ask about."""
