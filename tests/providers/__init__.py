"""Those who vouch for people, as the tests run them: on loopback, and as strict as the real ones."""
