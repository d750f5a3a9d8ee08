"""Messages that systems send with a key of an account."""

from django.db import models
from django.db.models import Q

from campaigns.models import Channel
from postman.accounts.models import User
from postman.ids import now_ms

from .messages import Message


class Transactional(models.Model):
    """A message that a system sent with a key of an account (/v1/transactional), as v1 tells of it.

    Its text is its own, so it has no template body; unless it was made of a WhatsApp template.
    """

    # v1's ids are whole numbers.
    id = models.BigAutoField(primary_key=True)
    message = models.OneToOneField(Message, models.CASCADE, related_name="transactional")
    user = models.ForeignKey(User, models.PROTECT, db_index=False, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    tag = models.CharField(max_length=255, blank=True)
    classification = models.CharField(max_length=10, blank=True)
    # What the caller sent, as it was sent: an answer repeats it. Empty once it is erased.
    content = models.JSONField()
    # Of its files, what an answer tells: [{"fileName", "fileSize", "hash"}]; None without any.
    attachments = models.JSONField(null=True)
    attachment_bytes = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=now_ms)

    class Meta:
        verbose_name_plural = "transactional messages"
        indexes = [
            models.Index(
                fields=["user", "channel", "-created_at", "-id"], name="calls_of_an_account"
            ),
            models.Index(
                fields=["user", "tag", "-created_at", "-id"],
                condition=Q(tag__gt=""),
                name="calls_of_an_account_by_tag",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.id}"


class TransactionalFile(models.Model):
    """A file that goes along with one email; gone once the email has left for good."""

    transactional = models.ForeignKey(Transactional, models.CASCADE, related_name="files")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    content_id = models.CharField(max_length=10, blank=True)
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transactional", "position"], name="one_file_per_position_of_an_email"
            )
        ]

    def __str__(self) -> str:
        return f"file {self.position} of {self.transactional_id}"
