"""Model slots: models that are loaded again while handlers answer with them."""
