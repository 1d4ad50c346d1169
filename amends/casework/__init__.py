"""The verbs: every change to a case, each one transaction."""
