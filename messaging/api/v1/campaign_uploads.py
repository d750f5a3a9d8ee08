"""The recipients of a campaign: a file in one call, or v1's three steps (v1-backend §2.7).

v1 had clients store the file in a bucket by an address of its own. Ours is an address of this API
that its token opens for three minutes, for one account, campaign and content.
"""

import base64
import hashlib
import hmac
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.storage import Storage
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from messaging.api.v1 import kinds, standing
from messaging.api.v1.campaign import CampaignView, error_of, preview_of
from messaging.api.v1.errors import STATUS, Invalid
from messaging.api.v1.fields import Strict, Text
from messaging.api.v1.standing import Standing
from messaging.models import Batch, BatchStatus
from messaging.sending import deciding, uploading
from postman.api.errors import v1_body
from postman.errors import Refused
from postman.ids import new_id

FORM_MARGIN = 64 * 1024
OPENS_FOR = 180
# After it was stored, until it is made the campaign's.
KEPT_FOR = 60 * 60
MIME_TYPES = ("text/csv", "application/vnd.ms-excel", "text/plain", "application/octet-stream")
_SALT = "messaging.api.v1.upload"
_TRANSACTION = "messaging.api.v1.transaction"


class UploadView(CampaignView):
    def check_ready(self, stands: Standing) -> None:
        stands.check_editable()
        if not self.kind.shown_template(stands.campaign):
            raise Refused("Save the template first.", "invalid_template")

    def take(self, stands: Standing, batch: Batch) -> Response:
        """202: it is checked in the background, as `upload/status` tells."""
        return Response({"id": str(stands.campaign.number)}, status=202)


class Upload(UploadView):
    """Ours: the file as one part of a form."""

    parser_classes = [MultiPartParser]
    http_method_names = ["post", "options"]
    most_bytes = settings.BATCH_BYTES_LIMIT + FORM_MARGIN

    def post(self, request: Request, number: str, type_: str) -> Response:
        http = request._request
        http.upload_handlers = [TemporaryFileUploadHandler(http)]
        files = request.FILES.getlist("file")
        if len(files) != 1 or set(request.data) != {"file"}:
            raise Invalid({"file": "Send one CSV file, in a part of this name, and nothing else."})
        return self.edit(lambda stands: self._take(stands, files[0]))

    def _take(self, stands: Standing, upload: Any) -> Response:
        self.check_ready(stands)
        with kinds.told_as("api_validation"):
            batch = uploading.accept_upload(
                campaign=stands.campaign, creator=self.account, upload=upload
            )
        return self.take(stands, batch)


# v1's three steps ------------------------------------------------------------------------------


class Start(UploadView):
    http_method_names = ["get", "options"]

    def get(self, request: Request, number: str, type_: str) -> Response:
        self.kind.check_made_here(self.campaign)
        self.check_ready(standing.of(self.campaign))
        mime_type, md5 = self._asked(request)
        batch = Batch(id=new_id(), campaign=self.campaign)
        ticket = {
            "user": str(self.account.id),
            "campaign": str(self.campaign.id),
            "batch": str(batch.id),
            "file": _field().generate_filename(batch, f"{batch.public_id}.csv"),
            "mime_type": mime_type,
            "md5": md5,
        }
        address = reverse("v1-upload", args=[signing.dumps(ticket, salt=_SALT)])
        return Response(
            {
                "presigned_url": f"{settings.PUBLIC_URL}{address}",
                "transaction_id": signing.dumps(ticket, salt=_TRANSACTION),
            }
        )

    def _asked(self, request: Request) -> tuple[str, str]:
        faults = dict.fromkeys(
            request.query_params.keys() - {"mime_type", "md5"}, "Unknown parameter."
        )
        mime_type, md5 = (request.query_params.get(name, "") for name in ("mime_type", "md5"))
        if mime_type.partition(";")[0].strip().lower() not in MIME_TYPES:
            faults["mime_type"] = f"Give one of: {', '.join(MIME_TYPES)}."
        # A `+` that was not encoded arrives as a space.
        md5 = md5.replace(" ", "+")
        if not _is_md5(md5):
            faults["md5"] = "Give the MD5 of the file, in base64."
        if faults:
            raise Invalid(faults)
        return mime_type, md5


def _is_md5(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except ValueError:
        return False


def _field() -> Any:
    return Batch._meta.get_field("file")


def _storage() -> Storage:
    return _field().storage


@method_decorator(csrf_exempt, name="dispatch")
class Stored(View):
    """Where the file is put. Whoever has the address needs no other key."""

    http_method_names = ["put", "options"]

    def put(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            return self._put(request, token)
        except Refused as refused:
            status = STATUS.get(refused.code, 400)
            return JsonResponse(v1_body(request, refused.code, refused.message, {}), status=status)

    def _put(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            ticket = signing.loads(token, salt=_SALT, max_age=OPENS_FOR)
        except signing.BadSignature:
            raise Refused("This address has expired, or never was one.", "unauthorized") from None
        length = request.META.get("CONTENT_LENGTH") or ""
        if not length.isdigit():
            raise Refused("Send a `Content-Length`, not a chunked body.", "malformed")
        if int(length) > settings.BATCH_BYTES_LIMIT:
            raise Refused("The file is larger than 40 MB. Split it.", "api_validation")
        with TemporaryUploadedFile("recipients.csv", "text/csv", int(length), None) as file:
            digest = hashlib.md5(usedforsecurity=False)
            while part := request.read(64 * 1024):
                file.write(part)
                digest.update(part)
            found = base64.b64encode(digest.digest()).decode()
            if not hmac.compare_digest(found, ticket["md5"]):
                raise Refused(
                    "This is not the file that was announced: its MD5 differs.", "malformed"
                )
            file.seek(0)
            storage = _storage()
            if not storage.exists(ticket["file"]):
                storage.save(ticket["file"], file)
        return HttpResponse(
            headers={"ETag": f'"{digest.hexdigest()}"', "Cache-Control": "no-store"}
        )


class CompleteAsked(Strict):
    transaction_id = Text(max_length=2000)
    filename = Text(max_length=255, trim_whitespace=False)
    etag = Text(required=False, max_length=100)


class Complete(UploadView):
    http_method_names = ["post", "options"]

    def post(self, request: Request, number: str, type_: str) -> Response:
        asked = CompleteAsked(data=request.data).run_validation(request.data)
        ticket = self._ticket(asked)
        return self.edit(lambda stands: self._take(stands, asked, ticket))

    def _ticket(self, asked: dict[str, str]) -> dict[str, str]:
        """What was announced; raises Invalid for somebody else's, or another campaign's."""
        try:
            ticket = signing.loads(asked["transaction_id"], salt=_TRANSACTION, max_age=KEPT_FOR)
        except signing.BadSignature:
            ticket = {}
        ours = {"user": str(self.account.id), "campaign": str(self.campaign.id)}
        if not ticket or ticket | ours != ticket:
            raise Invalid({"transaction_id": "It has expired, or was not given for this campaign."})
        etag = asked.get("etag", "").strip('"')
        if etag and etag != base64.b64decode(ticket["md5"]).hex():
            raise Invalid({"etag": "This is not the file that was announced."})
        return dict(ticket)

    def _take(self, stands: Standing, asked: dict[str, str], ticket: dict[str, str]) -> Response:
        earlier = Batch.objects.filter(pk=ticket["batch"], campaign=stands.campaign).first()
        if earlier:
            return self.take(stands, earlier)
        self.check_ready(stands)
        if not _storage().exists(ticket["file"]):
            raise Invalid({"transaction_id": "Nothing was stored at its address."})
        with kinds.told_as("api_validation"):
            batch = uploading.accept_stored(
                campaign=stands.campaign,
                creator=self.account,
                id=UUID(ticket["batch"]),
                stored=ticket["file"],
                name=asked["filename"],
            )
        return self.take(stands, batch)


class State(UploadView):
    http_method_names = ["get", "head", "delete", "options"]

    def get(self, request: Request, number: str, type_: str) -> Response:
        stands = standing.of(self.campaign)
        upload, filled = stands.upload, stands.filled
        preview = preview_of(self.kind, stands)
        if preview and "themed_body" in preview:
            preview = {
                "body": preview["body"],
                "subject": preview["subject"],
                "replyTo": preview["reply_to"],
                "from": preview["from"],
                "themedBody": preview["themed_body"],
            }
        return Response(
            {
                "is_csv_processing": stands.is_being_checked,
                "csv_filename": filled.original_file_name if filled else None,
                "temp_csv_filename": upload.original_file_name if upload else None,
                "csv_error": error_of(upload),
                "num_recipients": stands.num_recipients,
                "preview": preview,
            }
        )

    def delete(self, request: Request, number: str, type_: str) -> Response:
        return self.edit(self._forget)

    def _forget(self, stands: Standing) -> Response:
        """Throw away the files that have errors."""
        stands.check_editable()
        for batch in stands.batches:
            if batch.status == BatchStatus.INVALID:
                deciding.discard_batch(batch, by=self.account)
        return Response({"id": str(stands.campaign.number)})
