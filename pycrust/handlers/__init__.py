"""From a function to a handler: its signature, its arguments and results, their schemas and errors."""
