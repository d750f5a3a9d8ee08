"""What templates need beyond Django's own: Singapore's times, money, numbers, and bars to scale."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from django import template
from django.core.paginator import Page
from django.forms import BoundField, CheckboxInput, RadioSelect, Select
from django.utils.html import conditional_escape, format_html, json_script
from django.utils.safestring import SafeString, mark_safe

from campaigns import sms
from campaigns.templating import NAME_RULE

register = template.Library()

SINGAPORE = ZoneInfo("Asia/Singapore")
MICROS = 1_000_000
# Drawn and read in this order, wherever outcomes are added up.
OUTCOMES = {
    "delivered": "Delivered",
    "sent": "Sent",
    "pending": "Pending",
    "unknown": "Outcome unknown",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "suppressed": "Suppressed",
}
# Bars are drawn on a scale of so many units; one message among a million is still seen.
SCALE = 1000
SLIVER = 6


# Words and numbers -------------------------------------------------------------------------


@register.filter
def sgt(value: datetime | None) -> str:
    """`21 Nov 2026, 3:04 pm SGT` in a <time>; nothing where there is no time."""
    if not value:
        return ""
    local = value.astimezone(SINGAPORE)
    shown = f"{local.day} {local:%b %Y}, {local.hour % 12 or 12}:{local:%M} {_half(local)} SGT"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), shown)


register.simple_tag(sgt, name="sgt")


def _half(local: datetime) -> str:
    # strftime's %p is empty in some locales.
    return "am" if local.hour < 12 else "pm"


@register.filter
def money(micros: int | None) -> str:
    """Micro-units in Singapore dollars. Under one dollar nothing is rounded: an SMS is SGD 0.046."""
    amount = Decimal(micros or 0) / MICROS
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    if abs(amount) >= 1 or amount == cents:
        return f"SGD\u00a0{cents:,.2f}"
    return f"SGD\u00a0{amount.normalize():f}"


@register.filter
def exact_money(micros: int) -> str:
    """The same to the last digit, with two decimals or more: on a bill everything adds up."""
    whole, fraction = f"{Decimal(micros) / MICROS:,.6f}".split(".")
    return f"SGD\u00a0{whole}.{fraction[:2]}{fraction[2:].rstrip('0')}"


@register.filter
def phone(digits: str) -> str:
    """`6591234567` as `+65 9123 4567`, others grouped as their country does; `erased` for none."""
    if not digits:
        return "erased"
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return str(digits)
    shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return shown.replace(" ", "\u00a0")


@register.filter
def percent(part: int, whole: int) -> str:
    """`12%`; never 0% of something nor 100% of not all."""
    if not whole:
        return "0%"
    share = part * 100 / whole
    if 0 < share < 1:
        return "<1%"
    if 99 < share < 100:
        return ">99%"
    return f"{round(share)}%"


_placeholder = re.compile(rf"\{{\{{ *{NAME_RULE} *\}}\}}")


@register.filter(needs_autoescape=True)
def highlight(text: str, autoescape: bool = True) -> SafeString:
    """An officer's text with its {{variables}} marked, everything else escaped."""
    escaped = str(conditional_escape(text))
    return mark_safe(_placeholder.sub(r"<mark>\g<0></mark>", escaped))  # noqa: S308


# Forms and lists ---------------------------------------------------------------------------


@register.filter
def dressed(field: BoundField) -> BoundField:
    """The field with SGDS's class on its widget, whatever form it comes from."""
    widget = field.field.widget
    if isinstance(widget, (CheckboxInput, RadioSelect)):
        look = "form-check-input"
    elif isinstance(widget, Select):
        look = "form-select"
    else:
        look = "form-control"
    classes = dict.fromkeys([*str(widget.attrs.get("class", "")).split(), look])
    if field.errors:
        classes["is-invalid"] = None
    widget.attrs["class"] = " ".join(classes)
    return field


@register.filter
def elided(page: Page) -> Iterable[int | str]:
    """Page numbers around this one, with an ellipsis where some are left out."""
    return page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)


# Bars --------------------------------------------------------------------------------------


@register.simple_tag
def outcome_bar(counts: Mapping[str, int]) -> dict[str, Any]:
    """Counts by outcome, as parts of one bar from 0 to SCALE. The parts are all there is."""
    numbers = {key: counts.get(key) or 0 for key in OUTCOMES}
    parts, x = [], 0
    for (key, count), width in zip(numbers.items(), _widths(list(numbers.values())), strict=True):
        parts.append({"key": key, "label": OUTCOMES[key], "count": count, "x": x, "width": width})
        x += width
    return {
        "parts": parts,
        "total": sum(numbers.values()),
        "settled": numbers["delivered"] + numbers["failed"],
        "scale": SCALE,
    }


def _widths(numbers: list[int]) -> list[int]:
    """Whole numbers that add up to SCALE; whatever is not zero can be seen."""
    total = sum(numbers)
    if not total:
        return [0] * len(numbers)
    widths = [max(SLIVER, number * SCALE // total) if number else 0 for number in numbers]
    widths[widths.index(max(widths))] += SCALE - sum(widths)
    return widths


@register.simple_tag
def outcome_chart(series: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of stacked outcomes over time. Each of the series is {label, delivered, failed, …}."""
    rows = list(series)
    totals = [sum(row.get(key) or 0 for key in OUTCOMES) for row in rows]
    top = _round_up(max(totals, default=0))
    columns = [
        {"label": row["label"], "total": total, "parts": _column(row, index, top)}
        for index, (row, total) in enumerate(zip(rows, totals, strict=True))
    ]
    used = [key for key in OUTCOMES if any(row.get(key) for row in rows)]
    return {
        "columns": columns,
        "outcomes": [{"key": key, "label": OUTCOMES[key]} for key in used],
        "rows": [
            {"label": row["label"], "total": total, "counts": [row.get(key) or 0 for key in used]}
            for row, total in zip(rows, totals, strict=True)
        ],
        "top": top,
        "half": top // 2 if top > 1 else None,
        "total": sum(totals),
        "width": max(len(rows), 1) * 10,
        "ticks": [row["label"] for row in (rows[:1] + rows[1:][-1:])],
    }


def _column(row: Mapping[str, Any], index: int, top: int) -> list[dict[str, Any]]:
    parts, bottom = [], 100.0
    for key in OUTCOMES:
        if count := row.get(key) or 0:
            height = count * 100 / top
            bottom -= height
            parts.append(
                {"key": key, "x": index * 10 + 1, "y": f"{bottom:.2f}", "height": f"{height:.2f}"}
            )
    return parts


def _round_up(value: int) -> int:
    """The next 1, 2 or 5 with zeros: a top that can be read off an axis."""
    unit = 1
    while unit * 10 < value:
        unit *= 10
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)


# The composer ------------------------------------------------------------------------------


@register.simple_tag
def sms_tables() -> SafeString:
    """What composer.js needs to count and to name as `campaigns.sms` does: the same tables."""
    return json_script(
        {
            "basic": sms.GSM_BASIC,
            "extension": sms.GSM_EXTENSION,
            "blocked": dict(sms.BLOCKED),
            "replacements": dict(sms.REPLACEMENTS),
            "names": {char: sms.character_name(char) for char in (*sms.BLOCKED, *sms.REPLACEMENTS)},
            "emoji": sms.EMOJI_RANGES,
            "invisible": sms.INVISIBLE_RANGES,
            "broken": sms.BROKEN_RANGES,
            "joiners": sms.JOINERS,
            "segments": {name: list(sizes) for name, sizes in sms.SEGMENT_UNITS.items()},
            "footers": dict(sms.FOOTERS),
            "max": sms.MAX_BODY,
            "warn": sms.WARN_BODY,
        },
        "sms-tables",
    )
