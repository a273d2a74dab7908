"""What is told of reviews: PolicyDenials, Events, metrics and logs."""
