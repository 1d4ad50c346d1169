"""The demonstration: Northwind Homes, its mail server and the people who write to it, all on this machine."""
