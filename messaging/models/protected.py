"""Secure pages, and who tried to open them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from .batches import Batch


class ProtectedUploadQuerySet(models.QuerySet["ProtectedUpload"]):
    def to_be_told(self, since: datetime) -> models.QuerySet[ProtectedUpload, UUID]:
        """Batches with locked pages that their sender does not know of, and was not told of others
        since then."""
        locked = ProtectedMessage.objects.locked_untold().values("upload")
        # Of those that were not sent, the sender is trying a page out.
        sent = self.filter(
            Q(told_at=None) | Q(told_at__lte=since), batch__accepted_at__isnull=False
        )
        return sent.filter(pk__in=locked).values_list("batch_id", flat=True)


class ProtectedUpload(models.Model):
    """What the sender decided on the secure pages of a batch, one for each of its rows.

    The pages were encrypted in the sender's browser: neither their text nor their passwords ever
    came here (docs/security.md).
    """

    batch = models.OneToOneField(
        Batch, models.CASCADE, primary_key=True, related_name="protected_upload"
    )
    # How the browsers make keys of passwords; pages that exist keep what they were made with.
    version = models.PositiveSmallIntegerField()
    iterations = models.PositiveIntegerField()
    rows_announced = models.PositiveIntegerField()
    # Shown to whoever has the link.
    hint = models.CharField(max_length=200, blank=True)
    ignores_case_and_spaces = models.BooleanField(default=False)
    # How long pages can be opened, from when their batch was sent.
    lifetime = models.DurationField()
    # When the sender was last told that pages of it are locked.
    told_at = models.DateTimeField(null=True)
    # Nothing of any page is left.
    erased_at = models.DateTimeField(null=True)

    objects = ProtectedUploadQuerySet.as_manager()

    def __str__(self) -> str:
        return f"secure pages of {self.batch_id}"


class PageState(models.TextChoices):
    """What the sender sees of a secure page; the first that is true."""

    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"
    LOCKED = "locked", "Locked"
    OPENED = "opened", "Opened"
    UNOPENED = "unopened", "Not opened"


class ProtectedMessageQuerySet(models.QuerySet["ProtectedMessage"]):
    def as_of(self, now: datetime) -> ProtectedMessageQuerySet:
        """With `ends_at` (None until it is sent) and its `state`.

        What somebody guessed or opened before it was sent, trying it out, does not count.
        """
        sent_at = models.F("upload__batch__accepted_at")
        return self.annotate(
            sent_at=sent_at,
            ends_at=Coalesce(
                "expires_at",
                models.ExpressionWrapper(
                    sent_at + models.F("upload__lifetime"), models.DateTimeField()
                ),
            ),
            state=models.Case(
                models.When(withdrawn_at__isnull=False, then=models.Value(PageState.WITHDRAWN)),
                models.When(
                    Q(ends_at__lte=now) | Q(sealed=None), then=models.Value(PageState.EXPIRED)
                ),
                models.When(
                    Q(sent_at=None) | Q(locked_at__gte=sent_at),
                    locked_at__isnull=False,
                    then=models.Value(PageState.LOCKED),
                ),
                models.When(opened_at__isnull=False, then=models.Value(PageState.OPENED)),
                default=models.Value(PageState.UNOPENED),
                output_field=models.CharField(),
            ),
        )

    def locked_untold(self) -> ProtectedMessageQuerySet:
        return self.filter(locked_at__isnull=False, told_at=None)


class ProtectedMessage(models.Model):
    """A secure page: what only its recipient's password opens, and who tried to.

    Its id is the browser's, and random: it is all that a link to the page holds.
    """

    # Wrong guesses until it locks; from the third on, each has to wait twice as long.
    MAX_GUESSES = 10

    id = models.UUIDField(primary_key=True, editable=False)
    upload = models.ForeignKey(
        ProtectedUpload, models.CASCADE, db_index=False, related_name="pages"
    )
    row = models.IntegerField()
    # Of the email that leads here, which exists once the batch is sent.
    message_id = models.UUIDField(unique=True)
    salt = models.BinaryField()
    iv = models.BinaryField()
    # What the browser encrypted, encrypted again with our key; None once it is erased.
    sealed = models.BinaryField(null=True)
    # Of what proves that somebody knows the password, the hash, encrypted with our key.
    verifier = models.BinaryField()
    wrong_guesses = models.PositiveSmallIntegerField(default=0)
    guessed_at = models.DateTimeField(null=True)
    guess_again_at = models.DateTimeField(null=True)
    locked_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    last_opened_at = models.DateTimeField(null=True)
    times_opened = models.PositiveIntegerField(default=0)
    # Set where it was sent again, which renews it.
    expires_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects = ProtectedMessageQuerySet.as_manager()

    if TYPE_CHECKING:
        sent_at: datetime | None  # on those that were asked for `as_of` a moment
        ends_at: datetime | None
        state: str

    class Meta:
        indexes = [
            models.Index(
                fields=["upload"],
                condition=Q(locked_at__isnull=False, told_at=None),
                name="locked_pages_to_be_told_of",
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["upload", "row"], name="one_secure_page_per_row"),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | Q(sealed=None),
                name="nothing_is_left_of_withdrawn_pages",
            ),
            models.CheckConstraint(
                condition=Q(wrong_guesses__lte=10), name="secure_pages_lock_in_time"
            ),
        ]

    def __str__(self) -> str:
        return f"secure page {self.id}"

    @property
    def tries_left(self) -> int:
        return self.MAX_GUESSES - self.wrong_guesses


class WrongGuesses(models.Model):
    """Passwords of secure pages that one address got wrong in one hour."""

    MAX_AN_HOUR = 100

    id = models.BigAutoField(primary_key=True)
    address = models.CharField(max_length=64, help_text="Of the internet address, a keyed hash.")
    hour = models.DateTimeField()
    n = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "wrong guesses"
        constraints = [
            models.UniqueConstraint(fields=["address", "hour"], name="one_tally_per_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.n} at {self.hour}"
