class Refused(Exception):
    """A rule of the product says no: `code` is for programs, the text for the person who can act.

    Raised beside the rule; pages show the text beside the form, the API turns it into its envelope.
    """

    code = "refused"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code:
            self.code = code
