"""The API described: its OpenAPI document, and a page on which to read and try it. Both are public."""

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
    """The same for everybody, so it is made once."""
    return SchemaGenerator().get_schema(request=None, public=True)


class OpenApiDocument(APIView):
    schema = None  # it does not describe itself
    authentication_classes = ()
    permission_classes = ()
    http_method_names = ["get", "head"]

    def get(self, request: Request) -> Response:
        return Response(document())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "docs.html")
