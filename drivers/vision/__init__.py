"""VingCard Vision's encoders, by its PMS interface."""
