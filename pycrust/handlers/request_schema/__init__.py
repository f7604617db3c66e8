"""Arguments that a JSON Schema describes: `register(request_schema=…)`."""
