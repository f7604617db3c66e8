"""What is live and what it was before: the catalog, and the steps that change it."""
