"""Request -> tier -> answer -> request log."""
