"""The command line: `pycrust` and `python -m pycrust`."""
