"""What the bodies of the campaign API are made of: strict, so that a slip is told and not ignored."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class Strict(serializers.Serializer):
    """Refuses fields that it does not know. `names`: field → its name in the body, where it is
    none in Python."""

    names: Mapping[str, str] = {}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError("Send an object.")
        ours = {theirs: name for name, theirs in self.names.items()}
        known = self.fields.keys() - self.names.keys() | ours.keys()
        if unknown := data.keys() - known:
            raise serializers.ValidationError(
                {str(name)[:50]: "Unknown field." for name in sorted(map(str, unknown))[:10]}
            )
        try:
            return super().to_internal_value({ours.get(name, name): data[name] for name in data})
        except serializers.ValidationError as error:
            faults = dict(error.detail)  # type: ignore[arg-type]
            told = {self.names.get(name, name): fault for name, fault in faults.items()}
            raise serializers.ValidationError(told) from None


class Text(serializers.CharField):
    """A string, and nothing that could be made one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Send a string.")
        # Before the spaces around it are taken off, which DRF does first.
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        return str(super().to_internal_value(data))


class Name(Text):
    """Of a campaign, as pages take it: one line that can be seen, as it is the subject of mails."""

    def to_internal_value(self, data: Any) -> str:
        name = " ".join(super().to_internal_value(data).split())
        if not name.isprintable():
            raise serializers.ValidationError("Take out the invisible characters.")
        return name


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Send true or false.")
        return data


class Number(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("Send a whole number.")
        return int(super().to_internal_value(data))
