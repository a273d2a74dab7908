"""The engine Gatekeeper: its objects kept in step with what is in force, and what it says of them."""
