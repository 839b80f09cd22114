"""The demo's invented company: Brightdesk, which sells office software, its traffic and stand-ins for hosted models."""
