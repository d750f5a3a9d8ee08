"""Error pages, and the same facts in the API's envelope for whoever asked the API."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from postman.api.errors import envelope


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return envelope(request, 404, "invalid_path", "There is no such address in this API.")
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return envelope(request, 500, "internal_error", "The fault is ours. Nothing was accepted.")
    return render(request, "500.html", status=500)
