"""What reports for people are made of: blocks, fitted to a width, drawn plain or with rich."""
