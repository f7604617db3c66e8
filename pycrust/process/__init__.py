"""What the package does with the process and its threads."""
