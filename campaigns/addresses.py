"""IP addresses and ranges of them in the database: PostgreSQL's `inet` knows both."""

import ipaddress
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class AddressField(models.Field):
    """Text such as `203.0.113.7`, `2001:db8::7` or `203.0.113.0/24`."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "inet"

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return None if value is None else ipaddress.ip_interface(value)


@AddressField.register_lookup
class Covers(models.Lookup):
    """`address__covers="203.0.113.7"`: is it this address, or within this range?"""

    lookup_name = "covers"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        return f"{left} >>= {right}", [*left_values, *right_values]
