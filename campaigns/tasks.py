from uuid import UUID

from celery import shared_task
from django.utils import timezone

from campaigns.email import domains, sender_mails
from campaigns.models import SenderDomain


@shared_task(name="campaigns.check_sender_domains")
def check_sender_domains() -> None:
    for domain in domains.due(timezone.now()):
        check_sender_domain.delay(str(domain.pk))


@shared_task(name="campaigns.check_sender_domain")
def check_sender_domain(domain_id: str) -> None:
    domain = SenderDomain.objects.filter(pk=UUID(domain_id), check_at__lte=timezone.now()).first()
    if domain:
        domains.check_in_turn(domain)
        mail_senders.delay()


@shared_task(name="campaigns.mail_senders")
def mail_senders() -> None:
    sender_mails.mail_what_waits()
