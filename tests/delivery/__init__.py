"""The delivery checker: people chat while everything beneath them dies, and then every promise is counted.

`.venv/bin/python -m tests.delivery --database postgres --seconds 600 --seed 7`
"""
