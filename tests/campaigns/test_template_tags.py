"""What pages show: times, money, numbers, marked variables, and bars that add up."""

from datetime import UTC, datetime

import pytest
from django import forms
from django.template import Context, Template

from campaigns.templatetags import postman as tags


def test_a_time_is_singapores_and_says_so():
    shown = tags.sgt(datetime(2026, 11, 21, 7, 4, tzinfo=UTC))

    assert shown == ('<time datetime="2026-11-21T15:04:00+08:00">21 Nov 2026, 3:04 pm SGT</time>')


@pytest.mark.parametrize(
    ("hour_utc", "shown"), [(16, "12:00 am"), (4, "12:00 pm"), (3, "11:00 am"), (15, "11:00 pm")]
)
def test_midnight_and_noon_are_twelve(hour_utc, shown):
    assert f", {shown} SGT<" in tags.sgt(datetime(2026, 1, 1, hour_utc, tzinfo=UTC))


def test_no_time_shows_nothing():
    assert tags.sgt(None) == ""


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "SGD\u00a00.00"),
        (46_000, "SGD\u00a00.046"),
        (500_000, "SGD\u00a00.50"),
        (1_005_000, "SGD\u00a01.01"),
        (1_234_560_000, "SGD\u00a01,234.56"),
    ],
)
def test_money_is_rounded_to_cents_from_one_dollar_on(micros, shown):
    assert tags.money(micros) == shown


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "SGD\u00a00.00"),
        (46_000, "SGD\u00a00.046"),
        (2_852_000, "SGD\u00a02.852"),
        (1_234_500_000_000, "SGD\u00a01,234,500.00"),
        (1, "SGD\u00a00.000001"),
    ],
)
def test_money_on_a_bill_is_exact(micros, shown):
    assert tags.exact_money(micros) == shown


@pytest.mark.parametrize(
    ("digits", "shown"),
    [("6591234567", "+65 9123 4567"), ("447911123456", "+44 7911 123456"), ("x", "x")],
)
def test_a_number_is_grouped_as_its_country_does(digits, shown):
    assert tags.phone(digits).replace("\u00a0", " ") == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "0%"), (0, 9, "0%"), (1, 1000, "<1%"), (999, 1000, ">99%"), (9, 9, "100%")],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, shown):
    assert tags.percent(part, whole) == shown


def test_variables_are_marked_and_everything_else_is_escaped():
    shown = Template("{% load postman %}{{ body|highlight }}").render(
        Context({"body": "<b>{{name}}</b> {{ clinic }} {{Bad}}"})
    )

    assert shown == ("&lt;b&gt;<mark>{{name}}</mark>&lt;/b&gt; <mark>{{ clinic }}</mark> {{Bad}}")


class Form(forms.Form):
    name = forms.CharField(widget=forms.TextInput(attrs={"class": "input-short"}))
    kind = forms.ChoiceField(choices=[("a", "A")], widget=forms.RadioSelect)


def test_a_widget_gets_its_look_beside_the_classes_it_has():
    form = Form({"kind": "a"})

    assert 'class="input-short form-control is-invalid"' in str(tags.dressed(form["name"]))
    assert 'class="form-check-input"' in str(tags.dressed(form["kind"]))


@pytest.mark.parametrize(
    "counts",
    [
        {"delivered": 1_000_000, "failed": 1},
        {"delivered": 1, "sent": 1, "pending": 1},
        {"delivered": 7, "sent": 0, "pending": 3, "unknown": 2, "failed": 1},
    ],
)
def test_a_bar_is_filled_exactly_and_shows_the_smallest_part(counts):
    bar = tags.outcome_bar(counts)

    assert sum(part["width"] for part in bar["parts"]) == bar["scale"]
    assert sum(part["count"] for part in bar["parts"]) == bar["total"] == sum(counts.values())
    assert all(part["width"] >= tags.SLIVER for part in bar["parts"] if part["count"])


def test_a_bar_of_nothing_is_empty():
    bar = tags.outcome_bar({})

    assert (bar["total"], {part["width"] for part in bar["parts"]}) == (0, {0})


def test_columns_stand_on_the_ground_and_keep_below_a_round_top():
    chart = tags.outcome_chart(
        [{"label": "1 Nov", "delivered": 130, "failed": 10}, {"label": "2 Nov", "delivered": 5}]
    )

    assert (chart["top"], chart["total"], chart["ticks"]) == (200, 145, ["1 Nov", "2 Nov"])
    delivered, failed = chart["columns"][0]["parts"]
    assert float(delivered["y"]) + float(delivered["height"]) == 100
    assert float(failed["y"]) + float(failed["height"]) == float(delivered["y"])
    assert chart["rows"][1] == {"label": "2 Nov", "total": 5, "counts": [5, 0]}


def test_a_chart_of_nothing_can_be_drawn():
    assert tags.outcome_chart([])["total"] == 0
