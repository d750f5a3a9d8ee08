from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from postman.accounts import keys, mails


@shared_task(name="accounts.mail_code")
def mail_code(code_id: str) -> None:
    mails.mail_code(code_id)


@shared_task(name="accounts.mail_warning")
def mail_warning(code_id: str) -> None:
    mails.mail_warning(code_id)


@shared_task(name="accounts.mail_waiting_codes")
def mail_waiting_codes() -> None:
    mails.mail_what_waits()


@shared_task(name="accounts.forget")
def forget() -> None:
    """Sessions that ran out and codes of days ago are of no use to anyone."""
    call_command("clearsessions")
    mails.forget_old_codes()


@shared_task(name="accounts.remind_of_keys")
def remind_of_keys() -> None:
    keys.remind(timezone.now())
