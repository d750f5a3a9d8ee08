"""Pictures for emails."""

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from postman.accounts.models import Agency, User
from postman.ids import new_id

SHOWN_WIDTH = 680  # what the frame of an email leaves


def image_storage() -> Storage:
    return storages["images"]


class Image(models.Model):
    """A picture for emails, made anew from what was uploaded (`email.images`). It is kept: mails
    that were sent show it from here."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Who knows it may see the picture, as every recipient must.
    key = models.CharField(max_length=40, unique=True)
    agency = models.ForeignKey(Agency, models.PROTECT, related_name="images")
    uploader = models.ForeignKey(User, models.PROTECT, related_name="+")
    file = models.FileField(upload_to="images/%Y/%m/", storage=image_storage, max_length=200)
    content_type = models.CharField(max_length=20)
    alt = models.CharField("description", max_length=300)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["agency", "-id"], name="images_of_an_agency")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def file_name(self) -> str:
        return f"{self.key}.{self.content_type.removeprefix('image/')}"

    @property
    def url(self) -> str:
        return image_url(self.key)

    @property
    def html(self) -> str:
        """What shows it in an email."""
        return format_html(
            '<img src="{}" alt="{}" width="{}">', self.url, self.alt, self.shown_width
        )

    @property
    def shown_width(self) -> int:
        """Pixels across in an email; on fine screens that many and twice as many dots."""
        return min(self.width, SHOWN_WIDTH)


def image_url(key: str) -> str:
    """In full, as it stands in mails."""
    return settings.PUBLIC_URL + reverse("image", args=[key])
