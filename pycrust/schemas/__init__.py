"""What handlers take and return, outside of the worker: the lock file, and the clients that are made of it."""
