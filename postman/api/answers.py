"""How answers are made of rows: DRF's serializers say their shape, one plan a class fills it."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import orjson
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

Part = tuple[str, Callable[[Any], Any], Callable[[Any], Any]]


class Answer(serializers.Serializer):
    """A shape that is only written, with plain attributes as sources.

    DRF copies every field of a serializer for every answer and asks it where its value is; a page
    of a thousand then takes half a second. Here each class is taken apart once.
    """

    _plan: list[Part]

    @classmethod
    def of(cls, row: Any) -> dict[str, Any]:
        """The object of one row, by one instance for all.

        Each serializer that is made counts up on DRF's class of all fields, and Python then forgets
        what it has learned of every class below it.
        """
        return _one(cls).to_representation(row)

    @classmethod
    def plan(cls) -> list[Part]:
        if "_plan" not in cls.__dict__:
            cls._plan = [
                (name, _source(field), field.to_representation)
                for name, field in cls().fields.items()
            ]
        return cls._plan

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = {}
        for name, source, show in self.plan():
            value = source(instance)
            shown[name] = None if value is None else show(value)
        return shown


@cache
def _one(shape: type[Answer]) -> Answer:
    return shape()


def _source(field: Any) -> Callable[[Any], Any]:
    return attrgetter(field.source) if field.source != "*" else lambda row: row


class Json(JSONRenderer):
    """The bytes of DRF's own, written by orjson."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=self.encoder_class().default)
