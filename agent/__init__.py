"""The long-running agent: what is to be encoded, on which card, and who is told."""
