"""Intake: what a mailbox has becomes rows, and only then leaves the inbox."""
