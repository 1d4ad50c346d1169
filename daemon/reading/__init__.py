"""Reading: strangers' bytes become facts in processes of their own, within limits of memory, time and files."""
