"""Elatec TWN4 readers, by their Simple Protocol."""
