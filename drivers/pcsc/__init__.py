"""PC/SC readers: MIFARE and NTAG cards as storage cards, through pcscd."""
