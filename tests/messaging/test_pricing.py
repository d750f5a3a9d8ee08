import runpy
from decimal import Decimal

import pytest

from messaging import pricing
from postman.settings import base

LOCAL, FOREIGN = True, False


# v2-sms §13.22
@pytest.mark.parametrize(("is_local", "price"), [(LOCAL, "0.046"), (FOREIGN, "0.23")])
def test_each_segment_costs_what_its_country_costs(is_local, price):
    one, three = (pricing.price_micros(is_local, segments) for segments in (1, 3))

    assert pricing.dollars(one) == Decimal(price)
    assert pricing.dollars(three) == 3 * Decimal(price)


def test_sums_over_millions_are_exact():
    assert pricing.price_micros(LOCAL, 10_000_000) == 460_000_000_000


# v2-sms §13.22
@pytest.mark.parametrize(
    ("outcome", "countries"),
    [
        ("success", {LOCAL, FOREIGN}),
        ("recipient_invalid", {LOCAL, FOREIGN}),
        ("recipient_unavailable", {LOCAL, FOREIGN}),
        ("content_invalid", {LOCAL, FOREIGN}),
        ("routing_error", {LOCAL, FOREIGN}),
        ("message_expired", {LOCAL, FOREIGN}),
        ("sent_to_telco", {FOREIGN}),
        ("delivery_unknown_error", set()),
        ("server_unknown_error", set()),
        ("sent", set()),
        ("unknown", set()),
        ("enqueued", set()),
    ],
)
def test_what_is_charged_is_what_the_price_page_says(outcome, countries):
    charged = {
        is_local
        for is_local in (LOCAL, FOREIGN)
        if pricing.charge_micros(outcome, is_local=is_local, segments=2)
    }

    assert charged == countries
    assert all(
        pricing.charge_micros(outcome, is_local=is_local, segments=2)
        == pricing.price_micros(is_local, 2)
        for is_local in charged
    )


@pytest.mark.parametrize(
    ("environment", "prices"),
    [
        ("production", {"local": Decimal("0.05"), "foreign": Decimal("0.23")}),
        ("test", {"local": 0, "foreign": 0}),
        ("loadtest", {"local": 0, "foreign": 0}),
    ],
)
def test_prices_come_from_the_environment_and_only_production_has_any(
    monkeypatch, environment, prices
):
    monkeypatch.setenv("POSTMAN_ENVIRONMENT", environment)
    monkeypatch.setenv("SMS_PRICE_LOCAL", "0.05")

    assert runpy.run_path(base.__file__)["SMS_PRICES"] == prices
