"""The desk page, the encoder API that is shaped like Seam's, health and metrics."""
