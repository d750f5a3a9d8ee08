import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import templating

BODY = "Dear {{name}},\nyour visit to {{ clinic }} is confirmed. Thank you, {{name}}."
names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")


def test_variables_come_in_order_of_first_appearance():
    assert templating.variables(BODY) == ["name", "clinic"]


def test_a_body_is_filled_with_the_values_of_one_recipient():
    text = templating.render(BODY, {"name": "Mei Ling", "clinic": "Clementi Clinic"})

    assert text == (
        "Dear Mei Ling,\nyour visit to Clementi Clinic is confirmed. Thank you, Mei Ling."
    )


def test_a_value_that_looks_like_a_variable_stays_text():
    text = templating.render("{{a}} {{b}}", {"a": "{{b}} %(b)s %s {b}", "b": "{{a}}"})

    assert text == "{{b}} %(b)s %s {b} {{a}}"


def test_percent_signs_of_the_body_stay_as_typed():
    assert templating.render("100% of %s, %(a)s, {{a}}%", {"a": "5%"}) == "100% of %s, %(a)s, 5%%"


def test_a_body_without_variables_is_its_own_text():
    assert templating.render("50% off", {}) == "50% off"


def test_a_missing_value_is_named():
    with pytest.raises(templating.MissingValue) as caught:
        templating.render(BODY, {"name": "Mei Ling"})

    assert caught.value.name == "clinic"
    assert str(caught.value) == "No value was given for clinic."


def test_values_the_body_does_not_use_are_left_alone():
    assert templating.render("{{a}}", {"a": "1", "b": "2"}) == "1"


@given(st.lists(st.tuples(st.text(alphabet=st.characters(exclude_characters="{}")), names)))
def test_rendering_puts_every_value_between_its_literals_whatever_they_hold(pieces):
    body = "".join(literal + "{{" + name + "}}" for literal, name in pieces)
    values = {name: f"{{{{{name}}}}}%({name})s" for _, name in pieces}

    assert templating.render(body, values) == "".join(
        literal + values[name] for literal, name in pieces
    )


@pytest.mark.parametrize(
    ("body", "code", "marked"),
    [
        ("", "blank_body", ""),
        (" \n ", "blank_body", " \n "),
        ("Hi {{Name}}", "illegal_name", "{{Name}}"),
        ("Hi {{1a}}", "illegal_name", "{{1a}}"),
        ("Hi {{}}", "illegal_name", "{{}}"),
        ("Hi {{first name}}", "illegal_name", "{{first name}}"),
        ("Hi {{näme}}", "illegal_name", "{{näme}}"),
        ("Hi {{name\n}}", "illegal_name", "{{name\n}}"),
        ("Hi {{recipient}}", "reserved_name", "{{recipient}}"),
        ("Hi {{ language }}", "reserved_name", "{{ language }}"),
        ("Hi {{name", "unclosed_braces", "{{"),
        ("Hi {{name} there", "unclosed_braces", "{{"),
        ("Hi name}}", "unopened_braces", "}}"),
    ],
)
def test_a_body_that_cannot_be_a_template_says_where_and_why(body, code, marked):
    [fault] = templating.check_template(body)

    assert (fault.code, body[fault.start : fault.end]) == (code, marked)
    assert fault.message.endswith(".")


def test_all_faults_are_told_at_once_in_order():
    faults = templating.check_template("{{A}} {{ok}} {{recipient}} {{b")

    assert [fault.code for fault in faults] == ["illegal_name", "reserved_name", "unclosed_braces"]


def test_a_good_body_has_no_faults():
    assert templating.check_template(BODY) == []
    assert templating.check_template("{{body}}") == []


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Name", "name"),
        ("recipientName", "recipient_name"),
        ("Clinic Name", "clinic_name"),
        ("1st-choice", "st_choice"),
        ("Recipient", ""),
        ("姓名", ""),
    ],
)
def test_an_illegal_name_is_answered_with_the_nearest_legal_one(typed, name):
    assert templating.suggest_name(typed) == name


def test_the_advice_shows_the_name_to_use():
    [fault] = templating.check_template("{{Clinic Name}}")

    assert fault.message.endswith("Try {{clinic_name}}.")


def test_text_can_be_checked_without_its_placeholders_and_positions_stay_true():
    body = "a {{name}} [b] {{ bad name }} {{"

    blanked = templating.without_placeholders(body)

    assert blanked == "a          [b]" + " " * 18
    assert len(blanked) == len(body)


@given(st.text(alphabet="{}ab %\n", max_size=40))
def test_any_text_is_checked_and_rendered_without_an_exception(body):
    templating.check_template(body)
    values = dict.fromkeys(templating.variables(body), "x")

    templating.render(body, values)
