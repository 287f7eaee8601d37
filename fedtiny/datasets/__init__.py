"""From what: the examples that clients train on, and how they are spread over the clients."""
