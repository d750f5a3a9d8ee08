"""The APIs described: their OpenAPI documents, and pages on which to read and try them. All public."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


@cache
def document() -> dict[str, Any]:
    """v2's. The same for everybody, so it is made once."""
    return SchemaGenerator().get_schema(request=None, public=True)


class OpenApiDocument(APIView):
    schema = None  # it does not describe itself
    document: Callable[[], dict[str, Any]] = staticmethod(document)
    authentication_classes = ()
    permission_classes = ()
    http_method_names = ["get", "head"]

    def get(self, request: Request) -> Response:
        return Response(self.document())


@require_safe
def docs(request: HttpRequest, schema: str = "api-schema") -> HttpResponse:
    """`schema`: the name of the document's address."""
    return render(request, "docs.html", {"schema": schema})
