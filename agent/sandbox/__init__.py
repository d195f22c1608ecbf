"""Stand-ins that a machine without accounts or hardware can run against: the sandbox credential service."""
