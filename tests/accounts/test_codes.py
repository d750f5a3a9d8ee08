import uuid

import pytest

from postman.accounts import codes

ROW = uuid.UUID("01900000-0000-7000-8000-000000000001")
OTHER_ROW = uuid.UUID("01900000-0000-7000-8000-000000000002")


def test_a_code_is_six_characters_of_base32():
    for _ in range(200):
        code = codes.new_code()

        assert len(code) == 6
        assert set(code) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


@pytest.mark.parametrize(
    "typed", ["AB2CD3", "ab2cd3", " AB2 CD3 ", "ab2-cd3", "A B-2\tC\u00a0D3", "AB2CD3\n"]
)
def test_case_spaces_and_hyphens_do_not_matter(typed):
    assert codes.clean(typed) == "AB2CD3"


def test_digits_that_no_code_has_are_read_as_the_letters_they_look_like():
    assert codes.clean("0a1b8c") == "OAIBBC"


@pytest.mark.parametrize("typed", ["", "AB2CD", "AB2CD34", "AB2CD9", "AB2CDé", "AB2CD!", "ſſſſſſſ"])
def test_what_cannot_be_a_code_is_none(typed):
    assert codes.clean(typed) is None


def test_a_hash_fits_only_its_own_row():
    code_hash = codes.hash_of("AB2CD3", ROW)

    assert codes.matches("AB2CD3", ROW, code_hash)
    assert not codes.matches("AB2CD4", ROW, code_hash)
    assert not codes.matches("AB2CD3", OTHER_ROW, code_hash)


def test_the_hash_depends_on_the_secret_key(settings):
    before = codes.hash_of("AB2CD3", ROW)

    settings.SECRET_KEY = "another"

    assert codes.hash_of("AB2CD3", ROW) != before


def test_nothing_matches_a_code_that_was_never_mailed():
    assert not codes.matches("AB2CD3", ROW, "")
