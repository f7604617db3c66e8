"""What `pycrust doctor` looks at."""
