"""What an email is: its keywords, what may stand in it, how it looks. Pure: no models, no HTTP."""
