from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from postman.urls import handler403, handler404, handler500, urlpatterns

__all__ = ["handler403", "handler404", "handler500"]


class Nothing(APIView):
    """What the framework and the middleware cost, before anything of ours happens."""

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> Response:
        return Response({"data": None})


urlpatterns = [path("api/v2/nothing", Nothing.as_view()), *urlpatterns]
