"""The core of Amends: what a complaint is, and the rules for handling it."""
