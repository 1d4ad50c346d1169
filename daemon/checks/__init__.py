"""`amendsd check`: everything that the configuration names is tried, and each finding is one sentence."""
