"""`pycrust top`: an endpoint on the whole screen."""
