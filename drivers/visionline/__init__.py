"""Visionline cards: made by Visionline's server, written by a card encoder of ours or by one of Visionline's own."""
