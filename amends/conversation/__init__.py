"""Which case a message belongs to, why, and how far to trust it."""
