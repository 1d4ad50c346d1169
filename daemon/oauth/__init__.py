"""Log-ins by OAuth 2: tokens asked for, kept fresh, and shown to mail servers; the secrets behind them kept safe."""
