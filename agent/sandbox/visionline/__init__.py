"""A stand-in for Visionline's server: checks signatures, keeps doors and cards, makes images."""
