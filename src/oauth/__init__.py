"""Who somebody is elsewhere: providers as data, and one exchange, from a code or a token to a verified identity."""
