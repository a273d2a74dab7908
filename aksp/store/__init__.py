"""Where assignments and exemptions are kept."""
