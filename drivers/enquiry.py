"""Enquiry, acknowledgement, message, answer: how property management systems have spoken to encoders since RS-232."""
