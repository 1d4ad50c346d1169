"""The listener: an organisation's own mail server hands complaints over by LMTP, or by SMTP.

`duty.ListenerDuty` is what the daemon runs; `docs/listener.md` is for those who set it up.
"""
