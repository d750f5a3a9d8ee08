"""The pages that show and send messages, a file for each place an officer goes to."""
