"""What we say: the words of a letter and the envelope it travels in."""
