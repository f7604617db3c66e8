"""What makes a release: wheels, their licences, and tests of what is installed from them."""
