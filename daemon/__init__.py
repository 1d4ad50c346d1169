"""amendsd: the long-running process and the commands of the operator."""
