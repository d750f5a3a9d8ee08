"""Messages that a bot writes to those who let it: bots, subscribers, texts."""
