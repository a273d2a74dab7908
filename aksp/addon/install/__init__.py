"""What `aksp addon enable` applies, and how it is put there and taken away."""
