"""PN532 and PN533 readers, through nfcpy."""
