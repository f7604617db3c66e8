"""A call while it runs: where it runs, what it may ask, what it prints, and how it ends."""
