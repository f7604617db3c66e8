"""One module for each command; each has a `run`, and is found by being here."""
