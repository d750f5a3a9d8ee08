"""Fills an empty database for `api.py`: one campaign to send in, two full of messages, and an
account with a key for v1.

Run as `python -m benchmarks.data <messages>`; prints where everything is, as JSON.
"""

import json
import sys
import uuid
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402 - Django must be set up before its models load

from campaigns.models import (  # noqa: E402
    AllowedAddress,
    ApiKey,
    Campaign,
    Membership,
    RecipientType,
    Role,
    Template,
    TemplateBody,
)
from campaigns.sms import FOOTERS  # noqa: E402
from messaging import transactional  # noqa: E402
from postman.accounts import keys  # noqa: E402
from postman.accounts.models import Agency, User  # noqa: E402

BODY = "Dear {{name}}, see you at {{clinic}} on {{date}}. Please arrive 10 minutes early."
EMAIL = {
    "subject": "Your visit on Friday",
    "body": "<p>Dear Mei Ling, see you at <strong>Clementi Clinic</strong> on 3 Dec, 9.30am. Please "
    'arrive 10 minutes early: <a href="https://www.health.gov.sg/visits">how to find us</a>.</p>',
}
EMAILS = 200
VALUES = {"name": "Mei Ling", "clinic": "Clementi Clinic", "date": "3 Dec, 9.30am"}
BATCHES = 10
SEARCHED = 1_000_000

# An upload's messages share one moment, and their ids follow their rows (`expanding.expand`).
BATCH_ROWS = """
INSERT INTO messaging_batch (id, campaign_id, creator_id, status, via_api, original_file_name, file,
    file_bytes, file_sha256, report, bytes_checked, rows_checked, rows_bad, errors_total,
    first_faults, summary, accepted_at, total_messages, dispatched_at, created_at, updated_at)
SELECT uuidv7(-age), %(campaign)s, %(creator)s, 'messages_enqueued', false, 'clinic.csv', '',
    0, '', '', 0, %(rows)s, 0, 0, '[]', '{}', at, %(rows)s, at, at, at
FROM (SELECT n * interval '1 hour' AS age, date_trunc('milliseconds', now() - n * interval '1 hour') AS at
    FROM generate_series(%(batches)s, 1, -1) n) ages
"""
MESSAGES = """
INSERT INTO messaging_message (id, campaign_id, batch_id, row, template_body_id, creator_id,
    via_api, recipient, values, segments, status, attempts_made, created_at, updated_at)
SELECT uuidv7(batch.accepted_at - now()), batch.campaign_id, batch.id, n + 1,
    %(body)s, %(creator)s, false,
    '65' || 80000000 + ((n + %(rows)s * batch.number) * 7919) %% 20000000, %(values)s, 1,
    CASE WHEN n %% 50 = 0 THEN 'failure' ELSE 'success' END, 1, batch.accepted_at, batch.accepted_at
FROM (SELECT *, row_number() OVER (ORDER BY accepted_at) AS number FROM messaging_batch
    WHERE campaign_id = %(campaign)s) batch, generate_series(1, %(rows)s) n
ORDER BY batch.accepted_at, n
"""
ATTEMPTS = """
INSERT INTO messaging_attempt (id, message_id, number, status, error_code, provider_code, reference,
    created_at, updated_at, sent_at, delivered_at)
SELECT uuidv7(created_at - now()), id, 1, status,
    CASE status WHEN 'failure' THEN 'recipient_unavailable' ELSE '' END, '',
    'SM' || replace(id::text, '-', ''), created_at, created_at, created_at, created_at
FROM messaging_message WHERE campaign_id = %(campaign)s
"""


def _campaign(officer: User, name: str) -> dict[str, Any]:
    campaign = Campaign.objects.create(
        agency=officer.agency,
        creator=officer,
        name=name,
        recipient_type=RecipientType.PUBLIC,
        sender_id="gov.sg",
        calls_per_second=None,
    )
    body = TemplateBody.objects.create(
        template=Template.objects.create(campaign=campaign),
        language="english",
        body=BODY,
        header="Ministry of Health",
        footer=FOOTERS["english"],
        creator=officer,
    )
    Membership.objects.create(campaign=campaign, user=officer, role=Role.OWNER)
    AllowedAddress.objects.create(campaign=campaign, address="127.0.0.1")
    _, secret = ApiKey.issue(campaign=campaign, creator=officer)
    return {
        "campaign": str(campaign.id),
        "template_body": str(body.id),
        "creator": str(officer.id),
        "key": secret,
        "values": VALUES,
    }


def _fill(facts: dict[str, Any], messages: int) -> None:
    """Set-based, without the checks of foreign keys, which hold by construction."""
    about = {
        "campaign": uuid.UUID(facts["campaign"]),
        "body": uuid.UUID(facts["template_body"]),
        "creator": uuid.UUID(facts["creator"]),
        "values": json.dumps(VALUES),
        "batches": BATCHES,
        "rows": messages // BATCHES,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for statement in (BATCH_ROWS, MESSAGES, ATTEMPTS):
            cursor.execute(statement, about)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute(
            "SELECT id FROM messaging_batch WHERE campaign_id = %(campaign)s"
            " ORDER BY accepted_at OFFSET 5 LIMIT 1",
            about,
        )
        facts["batch"] = str(cursor.fetchone()[0])
        cursor.execute(
            "SELECT id, recipient FROM messaging_message WHERE batch_id = %s AND row %% %s = 1",
            [facts["batch"], max(messages // BATCHES // 1000, 2)],
        )
        found = cursor.fetchall()
        facts["some"] = [str(row[0]) for row in found]
        facts["numbers"] = [row[1] for row in found[:50]]


def _account(agency: Agency) -> dict[str, Any]:
    """An account that calls v1 without a limit, with emails to read."""
    user = User.objects.create(email="systems@health.gov.sg", agency=agency, calls_per_second=None)
    _, secret = keys.create(user, label="Benchmark", contacts=[user.email])
    sent = [
        transactional.send_email(user, recipient=f"p{n}@example.org", **EMAIL)
        for n in range(EMAILS)
    ]
    return {"key": secret, "email": EMAIL, "some": [row.pk for row in sent]}


def fill(messages: int) -> dict[str, Any]:
    agency = Agency.objects.create(name="Ministry of Health")
    officer = User.objects.create(email="officer@health.gov.sg", agency=agency)
    sends, large = _campaign(officer, "Sends"), _campaign(officer, "Large")
    _fill(large, messages)
    searched = large
    if messages != SEARCHED:
        searched = _campaign(officer, "Searched")
        _fill(searched, SEARCHED)
    account = _account(agency)
    with connection.cursor() as cursor:
        # What autovacuum does within a minute of such an upload.
        cursor.execute("VACUUM ANALYZE messaging_message, messaging_attempt, messaging_batch")
        cursor.execute("CHECKPOINT")
    return {"sends": sends, "large": large, "searched": searched, "account": account}


if __name__ == "__main__":
    json.dump(fill(int(sys.argv[1])), sys.stdout)
