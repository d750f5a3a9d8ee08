"""Which recipients are phone numbers an SMS can be sent to."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, ValidationResult

# Numbers that fail in a set way on the test site (one for each delivery error).
TEST_NUMBERS = frozenset(
    {
        "6511111111",
        "6511112222",
        "6511113333",
        "6511114444",
        "6511115555",
        "6511119999",
        "6522222222",
    }
)

EXAMPLE = "6591234567"
USE_MOBILE = "Use a Singapore mobile number: 65, then 8 digits starting with 8 or 9."

# The pattern is phonenumbers' own, so that this short cut can never disagree with it.
# ASCII, because \d would let other scripts' digits in.
_singapore = PhoneMetadata.metadata_for_region("SG")
assert _singapore
assert _singapore.mobile
_is_singapore_mobile = re.compile(
    f"65(?:{_singapore.mobile.national_number_pattern})", re.ASCII
).fullmatch


class InvalidRecipient(ValueError):
    """This is not a number we can send to; the message tells its owner how to mend it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def clean_recipient(value: str, *, test_numbers: bool = False) -> str:
    """The number as providers and prices know it: country code first, digits only.

    Nothing is guessed or stripped: a plus sign or a missing 65 is refused, not mended.
    """
    if _is_singapore_mobile(value):
        return value
    if test_numbers and value in TEST_NUMBERS:
        return value
    if fault := _fault(value):
        raise InvalidRecipient(*fault)
    return value


def is_local(recipient: str) -> bool:
    """Prices follow the country code, wherever the person is."""
    return recipient.startswith("65")


def _fault(value: str) -> tuple[str, str] | None:
    return _fault_of_spelling(value) or _fault_of_number(value)


def _fault_of_spelling(value: str) -> tuple[str, str] | None:
    if not value.strip():
        return "blank", "Enter a phone number."
    if value.isascii() and value.isdigit():
        return None
    if re.fullmatch(r"\d(?:\.\d+)?[eE]\+?\d+", value):
        message = "A spreadsheet has shortened this number."
        return "shortened", f"{message} Format the column as text and enter the whole number."
    if re.search(r"\s", value):
        return "spaces", f"Remove the spaces: write the number as {EXAMPLE}."
    if "+" in value:
        return "plus_sign", f"Leave out the plus sign: write the number as {EXAMPLE}."
    if any(character.isalpha() for character in value):
        return "letters", "A phone number has digits only, no letters."
    return "not_digits", f"Use the digits 0 to 9 only: write the number as {EXAMPLE}."


def _fault_of_number(digits: str) -> tuple[str, str] | None:
    if digits.startswith("0"):
        return (
            "missing_country_code",
            f"Start with the country code, not with 0: write the number as {EXAMPLE}.",
        )
    # Some Singapore numbers without their 65 are valid elsewhere (98816091 is one in Iran), so
    # eight digits that look local are never taken for a foreign number.
    if len(digits) == 8 and digits[0] in "3689":
        return "missing_country_code", f"Add the country code: 65{digits}."
    if digits.startswith("65"):
        return _fault_of_singapore_number(digits[2:])
    return _fault_of_foreign_number(digits)


def _fault_of_singapore_number(digits: str) -> tuple[str, str] | None:
    if len(digits) != 8:
        size = "short" if len(digits) < 8 else "long"
        message = f"This number is too {size}: a Singapore number has 8 digits after 65,"
        return f"too_{size}", f"{message} this one has {len(digits)}."
    if digits[0] in "36":
        return "landline", f"This is a landline. {USE_MOBILE}"
    if digits[0] in "89":
        return "not_in_use", "No Singapore mobile number starts with these digits."
    return "not_mobile", f"This is not a mobile number. {USE_MOBILE}"


def _fault_of_foreign_number(digits: str) -> tuple[str, str] | None:
    if len(digits) > 15:
        return "too_long", f"This number is too long: {len(digits)} digits, and 15 is the most."
    if len(digits) < 8:
        return (
            "too_short",
            f"This number is too short. Include the country code, such as {EXAMPLE}.",
        )
    try:
        number = phonenumbers.parse(f"+{digits}")
    except NumberParseException as fault:
        if fault.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            message = f"No country has the code that {digits[:3]} begins with."
            return "unknown_country_code", f"{message} Write the number as {EXAMPLE}."
        return "too_short", "This number is too short for its country code."
    if not phonenumbers.is_valid_number(number):
        return _fault_of_possible_number(number)
    if phonenumbers.format_number(number, PhoneNumberFormat.E164) != f"+{digits}":
        # phonenumbers forgives +44 07911…; the provider would not.
        return "trunk_prefix", f"Leave out the 0 after country code {number.country_code}."
    return None


def _fault_of_possible_number(number: phonenumbers.PhoneNumber) -> tuple[str, str]:
    code = number.country_code
    match phonenumbers.is_possible_number_with_reason(number):
        case ValidationResult.TOO_SHORT:
            return "too_short", f"This number is too short for country code {code}."
        case ValidationResult.TOO_LONG:
            return "too_long", f"This number is too long for country code {code}."
        case _:
            return "not_in_use", f"No number of country code {code} looks like this."


def normalise(value: str, *, test_numbers: bool = False) -> str:
    """As `clean_recipient`, for the spellings that v1 took (v1-backend §2.7).

    Without a country code it is Singapore's; a plus sign, and what people put between digits, may
    stand in it. Raises InvalidRecipient.
    """
    digits = re.sub(r"[\s().-]", "", value)
    has_plus, digits = digits.startswith("+"), digits.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return clean_recipient(value, test_numbers=test_numbers)
    if not has_plus and _is_singapore_mobile(f"65{digits}"):
        return f"65{digits}"
    return clean_recipient(digits, test_numbers=test_numbers)
