"""The demo: traffic of an invented company (Brightdesk, office software) and stand-ins for hosted models."""
