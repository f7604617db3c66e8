"""Recorded calls: which are kept, how they are found, shown and saved."""
