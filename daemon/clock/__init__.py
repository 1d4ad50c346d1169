"""The clock duty, and the doubt about the clock itself."""
