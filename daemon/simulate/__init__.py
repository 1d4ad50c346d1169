"""A team's weeks ahead: invented complaints through the real verbs on a fast clock."""
