"""How the servers behind the endpoints want to be asked, and how their answers read."""
