"""Each client family behind the same few functions: write, read, and what they need."""
