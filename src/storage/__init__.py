"""Bytes: where they wait while they come in, and where they are kept. Nothing here knows whose they are."""
