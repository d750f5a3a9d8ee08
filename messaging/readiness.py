"""What still keeps a campaign from being sent, in words for who can act.

`sending` refuses by these rules, and the rail of steps shows them before anybody is refused.
"""

from collections.abc import Sequence

from campaigns import plain_sms, whatsapp
from campaigns.email import pinning, senders
from campaigns.models import Campaign, EmailBody, EmailDraft, TelegramDraft, TemplateBody
from campaigns.telegram import drafts
from messaging.models import Batch, BatchStatus
from postman.errors import Refused


class NotReady(Refused):
    """The batch stays as it was; `code` says on which page it can be helped."""

    code = "not_ready"


def draft_of(campaign: Campaign) -> EmailDraft:
    """The draft with all that its pages and rules look at."""
    found = EmailDraft.objects.select_related("campaign__agency", "campaign__creator", "tested_by")
    return found.get(campaign=campaign)


def is_tested(draft: EmailDraft) -> bool:
    """Somebody sent themselves the very version that would leave."""
    return draft.tested_version == draft.version


def recipients_of(batch: Batch) -> int:
    """How many of its rows were to get an email when it was checked: the others are suppressed."""
    return max(0, batch.total_messages - sum(batch.summary.get("suppressed", {}).values()))


def missing_columns(draft: EmailDraft, batch: Batch) -> list[str]:
    """Keywords of the message as it is now for which the uploaded file has no column."""
    columns = {column.lower() for column in batch.summary.get("columns", ())}
    return [name for name in draft.variables if name.lower() not in columns]


def check_content(draft: EmailDraft, batch: Batch) -> None:
    """Raise NotReady where this draft cannot be put together for the rows of this batch."""
    if faults := pinning.faults_of(draft):
        raise NotReady(" ".join(faults), "draft_not_ready")
    if missing := missing_columns(draft, batch):
        raise NotReady(
            f"The file has no column for {named(missing)}. Upload it again with "
            f"{'these columns' if len(missing) > 1 else 'this column'}, or take the keyword"
            f"{'s' if len(missing) > 1 else ''} out of the message.",
            "columns_missing",
        )


def is_text_checked(batch: Batch) -> bool:
    """Of a Telegram batch: its rows were checked with the message as it is now."""
    draft = TelegramDraft.objects.get(campaign=batch.campaign_id)
    return TemplateBody.objects.filter(
        pk=batch.summary.get("text"), template__campaign=batch.campaign_id, body=draft.body
    ).exists()


def check_text(batch: Batch) -> None:
    """Raise NotReady where a Telegram batch was not checked with the message as it is now, or has
    no bot to leave by. What was scheduled leaves as it was then."""
    if faults := drafts.faults_of(batch.campaign):
        raise NotReady(" ".join(faults), "draft_not_ready")
    if batch.status == BatchStatus.READY and not is_text_checked(batch):
        raise NotReady(
            "The message was changed after this file was checked. Check the file again.",
            "draft_changed",
        )


def why_not_start(batch: Batch) -> str:
    """What was taken away since the batch was scheduled, so that it may not leave now; empty if
    nothing was: a template's grant, a Twilio account, a bot, the address that it is from."""
    try:
        check_kept(batch)
    except Refused as refused:
        return refused.message
    return ""


def check_kept(batch: Batch) -> None:
    """Raise Refused where something was, with a sentence on what."""
    campaign = batch.campaign
    if campaign.is_telegram:
        bot = TelegramDraft.objects.select_related("bot").get(campaign=campaign).bot
        if bot.removed_at:
            raise NotReady(f"{bot} was removed. Its owner can add it again.")
    elif campaign.is_email:
        for email in EmailBody.objects.filter(body=batch.template_body_id):
            senders.sender_of(campaign, "", email.from_address)
    elif campaign.is_whatsapp:
        template = whatsapp.chosen_in(campaign)
        assert template  # or nothing could have been uploaded
        # Its messages are written in the name of who uploaded them.
        if not whatsapp.granted_to(batch.creator).filter(pk=template.pk).exists():
            raise NotReady(
                f"The template “{template.name}” is not granted to {batch.creator} any more, or "
                "WhatsApp does not approve it."
            )
    else:
        plain_sms.check_sender(campaign)


def check_tested(draft: EmailDraft) -> None:
    """Raise NotReady where nobody has looked at this very email in their own mailbox."""
    if not is_tested(draft):
        raise NotReady(
            "The message changed since its last test. Send a new test message first."
            if draft.tested_version
            else "Nobody has tested this message yet. Send a test message first.",
            "not_tested",
        )


def named(names: Sequence[str]) -> str:
    return ", ".join(f"{{{{{name}}}}}" for name in names)
