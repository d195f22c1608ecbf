"""How cards and encoders work. Knows nothing of services, journals or desks."""
