import random

import phonenumbers
import pytest

from campaigns import phone_numbers
from campaigns.phone_numbers import InvalidRecipient, clean_recipient, is_local


@pytest.mark.parametrize(
    "number", ["6591234567", "6581230001", "6590000000", "447911123456", "12025550123"]
)
def test_a_number_with_its_country_code_is_taken_as_it_is(number):
    assert clean_recipient(number) == number


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "blank"),
        ("  ", "blank"),
        ("+6591234567", "plus_sign"),
        ("65 9123 4567", "spaces"),
        ("6591234567 ", "spaces"),
        ("6591234567\xa0", "spaces"),
        ("6591234567\n", "spaces"),
        ("65-9123-4567", "not_digits"),
        ("6591234567.0", "not_digits"),
        ("６５９１２３４５６７", "not_digits"),
        ("659123４５６７", "not_digits"),
        ("659123456x", "letters"),
        ("S1234567A", "letters"),
        ("6.59123E+09", "shortened"),
        ("91234567", "missing_country_code"),
        ("61234567", "missing_country_code"),
        ("98816091", "missing_country_code"),
        ("006591234567", "missing_country_code"),
        ("659123456", "too_short"),
        ("4479", "too_short"),
        ("65912345678", "too_long"),
        ("1234567890123456", "too_long"),
        ("99912345678", "unknown_country_code"),
        ("6561234567", "landline"),
        ("6531234567", "landline"),
        ("6551234567", "not_mobile"),
        ("6599999999", "not_in_use"),
        ("4479111234567", "too_long"),
        ("12025", "too_short"),
        ("4407911123456", "trunk_prefix"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_with_its_own_reason(value, code):
    with pytest.raises(InvalidRecipient) as caught:
        clean_recipient(value)

    assert caught.value.code == code
    assert caught.value.message.endswith(".")


def test_a_missing_country_code_is_answered_with_the_number_that_would_do():
    with pytest.raises(InvalidRecipient, match=r"^Add the country code: 6591234567\.$"):
        clean_recipient("91234567")


@pytest.mark.parametrize("number", sorted(phone_numbers.TEST_NUMBERS))
def test_numbers_made_to_fail_are_for_the_test_site_only(number):
    assert clean_recipient(number, test_numbers=True) == number
    with pytest.raises(InvalidRecipient):
        clean_recipient(number)


def test_the_short_cut_for_singapore_mobiles_agrees_with_phonenumbers():
    rng = random.Random(65)
    for _ in range(3000):
        digits = f"65{rng.randrange(80_000_000, 100_000_000)}"
        assert accepts(digits) == is_valid(digits), digits


def test_foreign_numbers_are_judged_by_phonenumbers():
    rng = random.Random(44)
    for code in ("1", "44", "60", "61", "62", "66", "86", "91", "971"):
        for _ in range(50):
            digits = f"{code}{rng.randrange(10**8, 10**10)}"
            assert accepts(digits) == is_valid(digits), digits


def test_local_is_what_carries_the_country_code_of_singapore():
    assert is_local("6591234567")
    assert not is_local("60123456789")


def accepts(digits):
    try:
        return clean_recipient(digits) == digits
    except InvalidRecipient:
        return False


def is_valid(digits):
    number = phonenumbers.parse(f"+{digits}")
    as_sent = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return phonenumbers.is_valid_number(number) and as_sent == f"+{digits}"
