"""What a user has in hand: an endpoint, its methods, and how they show themselves."""
