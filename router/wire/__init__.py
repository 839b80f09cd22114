"""Protocols of clients and endpoints: reading requests and answers, and translating between them."""
