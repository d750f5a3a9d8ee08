from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from postman.accounts import keys
from postman.accounts.models import AccountKey, AuditEvent
from postman.errors import Refused
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mails_are_kept(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def create(user, label="Clinic system", contacts=("ops@health.gov.sg",)):
    return keys.create(user, label=label, contacts=list(contacts))


def test_a_key_opens_its_account_and_only_its_hash_is_kept(officer):
    key, secret = create(officer)

    assert keys.find(secret).user == officer
    assert secret.startswith("meiling_v1_")
    assert secret.endswith(key.last_five)
    stored = AccountKey.objects.values().get()
    assert secret not in str(stored)
    assert secret not in str(list(AuditEvent.objects.values()))


def test_a_key_that_differs_in_one_character_opens_nothing(officer):
    _, secret = create(officer)

    assert keys.find(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
    assert keys.find("") is None


def test_a_key_works_for_six_months(officer):
    with time_machine.travel(datetime(2026, 8, 31, 1, tzinfo=UTC), tick=False):
        key, secret = create(officer)

    assert key.expires_at == datetime(2027, 2, 28, 1, tzinfo=UTC)
    with time_machine.travel(key.expires_at - timedelta(seconds=1), tick=False):
        assert keys.find(secret)
    with time_machine.travel(key.expires_at, tick=False):
        assert keys.find(secret) is None


def test_a_revoked_key_is_refused_from_the_next_call(officer):
    key, secret = create(officer)

    assert keys.revoke(key, by=officer)
    assert keys.find(secret) is None
    assert not keys.revoke(key, by=officer)


def test_the_keys_of_a_closed_account_open_nothing(officer):
    _, secret = create(officer)
    officer.is_active = False
    officer.save()

    assert keys.find(secret) is None


def test_an_account_may_have_several_keys_but_not_any_number(officer):
    for n in range(keys.MAX_KEYS):
        create(officer, label=f"key {n}")

    with pytest.raises(Refused, match="20 keys"):
        create(officer)


def test_the_use_of_a_key_is_noted(officer):
    key, secret = create(officer)

    keys.find(secret)

    key.refresh_from_db()
    assert timezone.now() - key.last_used_at < timedelta(minutes=1)


def test_its_contacts_are_reminded_28_14_3_and_1_days_before_the_end_and_each_time_once(officer):
    with time_machine.travel(datetime(2026, 1, 1, 1, tzinfo=UTC), tick=False):
        key, _ = create(officer, contacts=["ops@health.gov.sg", "lead@health.gov.sg"])
    told = []

    for left in range(40, -2, -1):
        for _ in range(2):
            mail.outbox.clear()
            keys.remind(key.expires_at - timedelta(days=left))
            told += [(left, m.subject) for m in mail.outbox]

    assert [left for left, _ in told] == [28, 14, 3, 1]
    assert [subject.startswith("Urgent") for _, subject in told] == [False, False, True, True]


@pytest.mark.parametrize("hour", [0, 1, 9, 15, 16, 23])
def test_reminders_come_on_the_morning_of_their_day_at_whatever_hour_the_key_ends(officer, hour):
    with time_machine.travel(datetime(2026, 1, 10, hour, 30, tzinfo=UTC), tick=False):
        key, _ = create(officer)
    last_day = timezone.localdate(key.expires_at)
    told = []

    # Each day at 8 in Singapore.
    morning = datetime(2026, 6, 1, 0, 0, tzinfo=UTC)
    for now in (morning + timedelta(days=n) for n in range(45)):
        mail.outbox.clear()
        keys.remind(now)
        told += [(last_day - timezone.localdate(now)).days for _ in mail.outbox]

    assert told == [28, 14, 3, 1]


def test_a_reminder_names_the_key_and_goes_to_every_contact(officer):
    key, secret = create(officer, contacts=["ops@health.gov.sg", "lead@health.gov.sg"])

    keys.remind(key.expires_at - timedelta(days=3))

    [sent] = mail.outbox
    assert sent.to == ["ops@health.gov.sg", "lead@health.gov.sg"]
    assert sent.subject == "Urgent: your Postman API key “Clinic system” expires in 3 days"
    for text in (sent.body, sent.alternatives[0].content):
        assert "Clinic system" in text
        assert key.last_five in text
        assert secret not in text
        assert "last reminder" not in text


def test_the_last_reminder_says_that_it_is_the_last(officer):
    key, _ = create(officer)

    keys.remind(key.expires_at - timedelta(days=1))

    [sent] = mail.outbox
    assert "This is the last reminder." in sent.body
    assert "This is the last reminder." in sent.alternatives[0].content


def test_where_a_key_has_no_contacts_its_owner_is_told(officer):
    key, _ = create(officer, contacts=[])

    keys.remind(key.expires_at - timedelta(days=1))

    assert [sent.to for sent in mail.outbox] == [[officer.email]]


def test_a_reminder_that_was_missed_is_made_up_for_once(officer):
    with time_machine.travel(datetime(2026, 1, 1, 1, tzinfo=UTC), tick=False):
        key, secret = create(officer)

    keys.remind(key.expires_at - timedelta(days=10))
    keys.remind(key.expires_at - timedelta(days=9))

    [sent] = mail.outbox
    assert sent.to == ["ops@health.gov.sg"]
    assert "expires in 10 days" in sent.subject
    assert secret not in sent.body


def test_nobody_is_reminded_of_a_revoked_key(officer):
    key, _ = create(officer)
    keys.revoke(key, by=officer)

    keys.remind(key.expires_at - timedelta(days=1))

    assert mail.outbox == []


# Pages -----------------------------------------------------------------------------------------


def test_the_secret_is_shown_once(officer, client_of):
    client = client_of(officer)

    shown = client.post(
        reverse("account-keys"),
        {"label": " Clinic  system ", "contacts": "Ops@health.gov.sg, lead@health.gov.sg"},
    )

    secret = shown.context["secret"]
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    key = AccountKey.objects.get()
    assert (key.label, key.contacts) == (
        "Clinic system",
        ["ops@health.gov.sg", "lead@health.gov.sg"],
    )
    assert secret not in client.get(reverse("account-keys")).content.decode()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"label": "", "contacts": "a@health.gov.sg"}, "Give the key a label."),
        ({"label": "x", "contacts": " , "}, "Give at least one email address."),
        ({"label": "x", "contacts": "ops"}, "“ops” is not an email address."),
        ({"label": "x" * 256, "contacts": "a@health.gov.sg"}, "at most 255 characters"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_created(officer, client_of, typed, sentence):
    shown = client_of(officer).post(reverse("account-keys"), typed)

    assert shown.status_code == 422
    assert sentence in shown.content.decode()
    assert not AccountKey.objects.exists()


def test_two_keys_may_have_one_label_of_any_letters(officer, client_of):
    client = client_of(officer)
    label = "诊所 " + "x" * 252

    for _ in range(2):
        client.post(reverse("account-keys"), {"label": label, "contacts": "a@health.gov.sg"})

    assert list(AccountKey.objects.values_list("label", flat=True)) == [label, label]


def test_what_a_page_lists_of_a_key_never_tells_it_whole(officer, client_of):
    key, secret = create(officer, contacts=["ops@health.gov.sg"])
    revoked, _ = create(officer, label="Old system")
    keys.revoke(revoked, by=officer)

    page = client_of(officer).get(reverse("account-keys")).content.decode()

    assert secret not in page
    for text in ("Clinic system", key.last_five, "ops@health.gov.sg", "Old system"):
        assert text in page


def test_revoking_asks_first(officer, client_of):
    key, secret = create(officer)
    client = client_of(officer)
    url = reverse("account-key-revoke", args=[key.pk])

    client.get(url)
    assert keys.find(secret)
    client.post(url)
    assert keys.find(secret) is None


@pytest.mark.parametrize("name", ["account-key-revoke", "account-key-contacts"])
def test_somebody_elses_key_is_as_good_as_none(officer, client_of, name):
    key, secret = create(officer)

    answer = client_of(UserFactory()).post(reverse(name, args=[key.pk]), {"contacts": "x@y.sg"})

    assert answer.status_code == 404
    assert keys.find(secret)


def test_contacts_can_be_changed(officer, client_of):
    key, _ = create(officer)
    url = reverse("account-key-contacts", args=[key.pk])

    client_of(officer).post(url, {"contacts": "new@health.gov.sg"})

    key.refresh_from_db()
    assert key.contacts == ["new@health.gov.sg"]
