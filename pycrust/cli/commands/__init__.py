"""One module for each command; each has a `COMMAND`, and is found by being here."""
