"""What every room may hold: small frozen values, errors, safe text.  Nothing here acts."""
