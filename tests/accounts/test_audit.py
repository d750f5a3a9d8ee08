import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.models import ProtectedError
from django.http import HttpResponse
from django.test import RequestFactory

from postman.accounts import audit
from postman.accounts.models import AuditEvent
from postman.middleware import RequestId
from tests.factories import UserFactory


def test_a_line_says_who_did_what_to_what_from_where(officer):
    def view(request):
        audit.record("user.changed", by=officer, on=officer, fields=["agency"])
        return HttpResponse(request.id)

    response = RequestId(view)(RequestFactory().post("/", REMOTE_ADDR="203.0.113.7"))

    row = AuditEvent.objects.get()
    assert (row.actor, row.action, row.object_type, row.object_id, row.ip, row.details) == (
        officer,
        "user.changed",
        "user",
        officer.public_id,
        "203.0.113.7",
        {"fields": ["agency"]},
    )
    assert row.request_id == response.text


def test_a_line_falls_with_the_change_it_describes(officer):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record("user.changed", by=officer, on=officer)
        _ = 1 / 0

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE accounts_auditevent SET action = 'nothing.happened'",
        "DELETE FROM accounts_auditevent",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(officer, tampering):
    audit.record("login.succeeded", by=officer, on=officer)

    with (
        pytest.raises(ProgrammingError, match="audit events are added and never changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(tampering)

    assert AuditEvent.objects.get().action == "login.succeeded"


def test_nobody_in_the_audit_log_can_be_deleted(officer):
    audit.record("login.succeeded", by=officer, on=officer)
    UserFactory().delete()

    with pytest.raises(ProtectedError):
        officer.delete()
