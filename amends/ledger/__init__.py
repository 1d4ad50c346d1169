"""The store: tables, transactions, the sealed record of events, and read-only views.  The only room that knows SQL."""
