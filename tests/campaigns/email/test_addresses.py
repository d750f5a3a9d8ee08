import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.email import addresses
from campaigns.phone_numbers import InvalidRecipient

LOCAL_64, DOMAIN_189 = "a" * 64, ".".join(["b" * 62] * 3) + ".sg"


def fault_of(value):
    with pytest.raises(InvalidRecipient) as caught:
        addresses.clean_recipient(value)
    assert str(caught.value).endswith((".", ".com.", ".sg."))
    return caught.value


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("mei@example.com", "mei@example.com"),
        (" Mei.Ling@Example.COM\t", "mei.ling@example.com"),
        ("\ufeffmei@example.com\u200b\xa0", "mei@example.com"),
        ("o'brien+news@a-b.example.co", "o'brien+news@a-b.example.co"),
        ("x_y=z/1%2!#$&*?^`{|}~-@example.com", "x_y=z/1%2!#$&*?^`{|}~-@example.com"),
        ("123@456.sg", "123@456.sg"),
        ("a@xn--fiqs8s.xn--fiqs8s", "a@xn--fiqs8s.xn--fiqs8s"),
        (f"{LOCAL_64}@example.com", f"{LOCAL_64}@example.com"),
        (f"{LOCAL_64[:62]}@{DOMAIN_189}", f"{LOCAL_64[:62]}@{DOMAIN_189}"),
    ],
)
def test_an_address_is_kept_in_lower_case_without_what_is_around_it(value, address):
    assert addresses.clean_recipient(value) == address
    assert addresses.clean_many([value, "other@example.com"]) == [address, "other@example.com"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "blank"),
        (" \u200b ", "blank"),
        ("mei", "no_at"),
        ("mei at example.com", "no_at"),
        ("mei@@example.com", "two_ats"),
        ("mei@tan@example.com", "two_ats"),
        ("mei@example.com, tan@example.com", "several"),
        ("mei@example.com;tan@example.com", "several"),
        ("mei@example.com\ntan@example.com", "several"),
        ("mei@example.com / tan@example.com", "several"),
        ("Mei Ling <mei@example.com>", "with_name"),
        ("<mei@example.com>", "with_name"),
        ("mailto:mei@example.com", "mailto"),
        ("mei ling@example.com", "spaces"),
        ("mei@ example.com", "spaces"),
        ("mei@exam\u200bple.com", "invisible"),
        ("mei@exam\x00ple.com", "invisible"),
        ("mei@example.com\rBcc: x", "invisible"),
        ("meï@example.com", "strange_letter"),
        ("mei@gm\u0430il.com", "strange_letter"),  # Cyrillic а
        ("mei＠example.com", "strange_letter"),
        ("mei@ｅxample.com", "strange_letter"),
        ("\u212aelvin@example.com", "strange_letter"),  # lower() makes a plain k of it
        ("o’brien@example.com", "strange_letter"),
        ("@example.com", "no_name"),
        ("mei@", "no_domain"),
        ("mei@example.com.", "end"),
        ("mei@example.com,", "end"),
        ("mei@gmail,com", "comma"),
        (".mei@example.com", "dots"),
        ("mei.@example.com", "dots"),
        ("mei..ling@example.com", "dots"),
        ("mei@example..com", "dots"),
        ("mei@.example.com", "dots"),
        (f"a{LOCAL_64}@example.com", "too_long"),
        (f"{LOCAL_64}@{DOMAIN_189}", "too_long"),
        (f"mei@{'b' * 64}.sg", "too_long"),
        ("mei(home)@example.com", "character"),
        ('"mei"@example.com', "character"),
        ("mei@exa_mple.com", "character"),
        ("mei@[10.0.0.1]", "character"),
        ("mei@localhost", "no_dot"),
        ("mei@-example.com", "hyphen"),
        ("mei@example-.com", "hyphen"),
        ("mei@10.0.0.1", "ending"),
        ("mei@example.c", "ending"),
    ],
)
def test_what_is_no_address_is_refused_as_what_it_is(value, code):
    assert fault_of(value).code == code
    assert addresses.clean_many([value, "other@example.com"]) == ["", "other@example.com"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "Mei <Mei@example.com>",
            "Write the address alone, without a name or brackets: mei@example.com.",
        ),
        (
            "mei@a.sg, tan@a.sg",
            "Write one address only, and a row of its own for each of the others.",
        ),
        ("mei@gmail,com", "Write a dot, not a comma: gmail.com."),
        (
            "mei@gm\u0430il.com",
            "“\u0430” (cyrillic small letter a) does not belong in an email address, even where "
            "it looks like a letter that does. Type the address anew.",
        ),
    ],
)
def test_a_refusal_says_what_to_do(value, sentence):
    assert str(fault_of(value)) == sentence


awkward = st.text(alphabet=st.sampled_from("aZ9.-_@ <>,;\"'+\n\t\u200b\u0430ſ"), max_size=20)
likely = st.builds("{}@{}".format, awkward, st.sampled_from(["example.com", "a.sg", "", "-.x"]))


@given(st.lists(st.one_of(awkward, likely, st.just("mei@example.com")), min_size=1, max_size=8))
def test_many_are_judged_as_each_would_be_alone(values):
    def alone(value):
        try:
            return addresses.clean_recipient(value)
        except InvalidRecipient:
            return ""

    assert addresses.clean_many(values) == [alone(value) for value in values]


@pytest.mark.parametrize(
    ("domain", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("yahoo.con", "yahoo.com"),
        ("yahoo.con.sg", "yahoo.com.sg"),
        ("gmial.con", "gmail.com"),
        ("moh.gov.sgp", "moh.gov.sg"),
        ("clinic.com.sq", "clinic.com.sg"),
        ("gmail.com", ""),
        ("ymail.com", ""),
        ("mail.com", ""),
        ("falcon", ""),
        ("example.co", ""),
    ],
)
def test_usual_slips_in_a_domain_are_known_and_nothing_else_is_taken_for_one(domain, meant):
    assert addresses.meant_domain(domain) == meant


@pytest.mark.parametrize(
    ("address", "is_role"),
    [
        ("postmaster@example.com", True),
        ("abuse@example.com", True),
        ("no-reply@example.com", True),
        ("parents-request@lists.example.com", True),
        ("mei@example.com", False),
        ("abuser@example.com", False),
        ("requests@example.com", False),
    ],
)
def test_addresses_that_nobody_in_particular_reads_are_known(address, is_role):
    assert addresses.is_role(address) is is_role
    name = address.partition("@")[0]
    assert addresses.may_hold_roles([name], address) is is_role
