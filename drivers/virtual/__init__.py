"""An encoder and cards that exist in memory only."""
