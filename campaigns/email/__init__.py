"""What an email is: who it says it is from, its keywords, what may stand in it, how it looks.

`keywords`, `sanitising`, `theme`, `composing` and `lints` are pure: no models, no HTTP.
"""
