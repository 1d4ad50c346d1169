"""Questions over a screen; a dialog only answers, and the screen acts."""
