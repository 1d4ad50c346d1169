"""amends: the screens and commands of the handlers."""
