"""A module or a script as a service: loaded, watched, told to its supervisor, logged."""
