"""The outbox duty, and the courier that carries its letters to the mail server."""
