"""Order reports that take too long to wait for."""

from django.db import transaction

from campaigns.models import Campaign
from messaging import reports, tasks
from messaging.models import Batch, EmailReport
from postman.accounts import audit
from postman.accounts.models import User
from postman.celery import ring
from postman.errors import Refused


@transaction.atomic
def order_report(
    campaign: Campaign, batch: Batch | None, *, by: User, with_values: bool = False
) -> EmailReport:
    """Have the report of a file (without one, of all) made in the background; raises Refused."""
    reports.check_kept(campaign, batch)
    User.objects.select_for_update(no_key=True).get(id=by.id)
    if EmailReport.objects.filter(campaign=campaign, creator=by, made_at=None).exists():
        raise Refused(
            "Another report of this campaign is being made for you. Wait for its mail.",
            "report_under_way",
        )
    report = EmailReport.objects.create(
        campaign=campaign, batch=batch, creator=by, with_values=with_values
    )
    audit.record("report.ordered", by=by, on=batch or campaign, with_values=with_values)
    ring(tasks.make_reports)
    return report
