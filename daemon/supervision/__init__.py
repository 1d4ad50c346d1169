"""Keeping the duties alive: threads that are restarted, health that is reported, a watchdog fed by work."""
