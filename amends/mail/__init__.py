"""Bytes in, facts out: what one message says, whoever sent it and however broken it is."""
