"""A server loop of one's own on push_messages and pull_messages, with sleeps and a deadline."""
