"""Web Push (RFC 8030, 8291, 8292): encrypted for one browser, signed by us, posted to the service it listens at."""
