"""Fills an empty database for `send.py`: one campaign with one batch that waits to be sent.

Run as `python -m benchmarks.batch <messages> (sms | email)`; prints the batch's id.
"""

import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402 - Django must be set up before its models load

from campaigns import creation  # noqa: E402
from campaigns.email import drafts, pinning  # noqa: E402
from campaigns.models import Campaign, RecipientType, Template, TemplateBody  # noqa: E402
from campaigns.sms import FOOTERS  # noqa: E402
from messaging.models import Batch, BatchStatus, Message  # noqa: E402
from postman.accounts.models import Agency, User  # noqa: E402
from postman.ids import new_id, now_ms  # noqa: E402

BODY = "Dear {{name}}, see you at {{clinic}} on {{date}}. Please arrive 10 minutes early."
VALUES = {"name": "Mei Ling", "clinic": "Clementi Clinic", "date": "3 Dec, 9.30am"}
FIRST_NUMBER = 80_000_000

# As `expanding.expand` leaves them, counters included.
MESSAGES = """
INSERT INTO messaging_message (id, campaign_id, batch_id, row, template_body_id, creator_id,
    via_api, recipient, values, segments, status, attempts_made, created_at, updated_at)
SELECT uuidv7(), batch.campaign_id, batch.id, n + 2, %(body)s, batch.creator_id, false,
    %(before)s || %(first)s + n || %(after)s, %(values)s, 1, 'created', 0, batch.accepted_at, batch.accepted_at
FROM messaging_batch batch, generate_series(0, %(messages)s - 1) n
WHERE batch.id = %(batch)s
ORDER BY n
"""
COUNTERS = """
INSERT INTO messaging_counter (campaign_id, batch_id, hour, status, n)
SELECT campaign_id, id, date_trunc('hour', accepted_at), unnest(ARRAY['total', 'created']),
    %(messages)s
FROM messaging_batch WHERE id = %(batch)s
"""


# As an officer writes them: three kilobytes, a table, a list, a picture and a link.
EMAIL = (
    "<h2>Your visit</h2><p>Dear {{name}},</p><p>we see you at <b>{{clinic}}</b> on {{date}}.</p>"
    + "<p>Please arrive ten minutes early and bring your identity card, your appointment letter "
    "and the medicine that you take, in its packets. If you cannot come, let us know at least two "
    "days before, so that somebody else can be seen in your place.</p>"
    * 6
    + "<table><tr><th>What</th><th>Where</th></tr><tr><td>Registration</td><td>Level 1</td></tr>"
    "<tr><td>Consultation</td><td>{{clinic}}</td></tr></table><ul><li>No food for six hours</li>"
    "<li>Water is allowed</li></ul><p><img src='https://file.go.gov.sg/map.png' alt='Map'></p>"
    "<p><a href='https://www.moh.gov.sg/visit'>Change the appointment</a></p>"
)


def _sms(officer: User) -> TemplateBody:
    campaign = Campaign.objects.create(
        agency=officer.agency,
        creator=officer,
        name="Sends",
        recipient_type=RecipientType.PUBLIC,
        sender_id="gov.sg",
    )
    return TemplateBody.objects.create(
        template=Template.objects.create(campaign=campaign),
        language="english",
        body=BODY,
        header="Ministry of Health",
        footer=FOOTERS["english"],
        creator=officer,
    )


def _email(officer: User) -> TemplateBody:
    officer.can_create_campaigns = True
    campaign = creation.create_email_campaign(
        id=new_id(), name="Sends", is_protected=False, by=officer
    )
    typed = {"subject": "Your visit to {{clinic}}", "html": EMAIL}
    drafts.save(campaign, typed, version=1, by=officer)
    return pinning.pin(campaign)


# How a recipient is written around a number.
KINDS = {"sms": (_sms, "65", ""), "email": (_email, "p", "@example.org")}


def fill(messages: int, channel: str) -> Batch:
    agency = Agency.objects.create(name="Ministry of Health")
    officer = User.objects.create(email="officer@health.gov.sg", agency=agency)
    make, before, after = KINDS[channel]
    body = make(officer)
    batch = Batch.objects.create(
        campaign=body.template.campaign,
        creator=officer,
        status=BatchStatus.ENQUEUED,
        original_file_name="clinic.csv",
        accepted_at=now_ms(),
        total_messages=messages,
        # Nothing is to leave before all is ready to be measured.
        hold_until=now_ms().replace(year=9000),
    )
    about = {
        "batch": batch.id,
        "body": body.id,
        "first": FIRST_NUMBER,
        "before": before,
        "after": after,
        "values": json.dumps(VALUES),
        "messages": messages,
    }
    with connection.cursor() as cursor:
        cursor.execute(MESSAGES, about)
        cursor.execute(COUNTERS, about)
        # What autovacuum does within a minute of such an upload.
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    assert Message.objects.filter(batch=batch).count() == messages
    return batch


if __name__ == "__main__":
    print(fill(int(sys.argv[1]), sys.argv[2]).id)
