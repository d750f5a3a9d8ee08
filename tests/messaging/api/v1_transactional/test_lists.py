"""Lists of v1: steps, order and filters (v1-backend §3.6; v1-web-app §20.8, §21.4)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.delivery.pipeline import send_chunk
from messaging.models import Message, Transactional
from tests.factories import UserFactory
from tests.messaging.api.v1_transactional.conftest import code_of, headers_of

pytestmark = pytest.mark.django_db

MOST = {"email": 1000, "sms": 100, "govsg": 1000}


@pytest.fixture
def ids(get):
    return lambda kind, query="": [row["id"] for row in get(kind.path, query)["data"]]


@pytest.fixture
def three(post, kind):
    """Three messages, made a minute after each other; the oldest was changed last."""
    sent = [post(kind).json()["id"] for _ in range(3)]
    start = timezone.now().replace(microsecond=0) - timedelta(hours=1)
    for minute, number in enumerate(sent):
        row = Transactional.objects.filter(pk=number)
        row.update(created_at=start + timedelta(minutes=minute))
        Message.objects.filter(transactional=number).update(
            updated_at=start + timedelta(minutes=30 - minute)
        )
    return sent


def test_the_newest_come_first_ten_at_a_time(post, get, email):
    sent = [post(email).json()["id"] for _ in range(11)]

    first, rest = get(email.path), get(email.path, "?offset=10")

    assert [row["id"] for row in first["data"]] == sent[:0:-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [row["id"] for row in rest["data"]] == sent[:1]
    assert set(first) == {"has_more", "data"}


def test_a_page_that_is_just_full_has_no_more(three, get, kind):
    assert get(kind.path, "?limit=3")["has_more"] is False
    assert get(kind.path, "?limit=2")["has_more"] is True
    assert get(kind.path, "?offset=3") == {"has_more": False, "data": []}


def test_copies_make_no_more_of_an_email(post, get, email):
    post(email, cc=["a@example.org", "b@example.org"], bcc=["c@example.org"])

    page = get(email.path, "?limit=1")

    assert (len(page["data"]), page["has_more"]) == (1, False)


def test_after_a_message_the_list_goes_on_whatever_was_added_meanwhile(three, post, get, ids, kind):
    first = get(kind.path, "?limit=2")
    post(kind)

    rest = get(kind.path, f"?limit=2&after={first['data'][-1]['id']}")

    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == ([three[0]], False)


@pytest.mark.parametrize("order", ["created_at", "-created_at", "+created_at", "+updated_at"])
def test_page_after_page_shows_each_message_once(three, get, ids, kind, order):
    query = f"?sort_by={order}&limit=1"
    walked = ids(kind, query)
    while page := ids(kind, f"{query}&after={walked[-1]}"):
        walked += page

    assert walked == ids(kind, f"?sort_by={order}")


def test_messages_of_one_moment_are_told_apart(three, ids, kind):
    Transactional.objects.update(created_at=timezone.now())

    assert ids(kind, f"?after={three[1]}") == [three[0]]


@pytest.mark.parametrize("query", ["after=1", "after=x", "after=", "after=1&offset=0"])
def test_a_list_goes_on_only_after_one_of_its_own_messages(client, headers, kind, query):
    answer = client.get(f"{kind.path}?{query}", headers=headers)

    assert code_of(answer) == (400, "api_validation")
    assert [error["path"] for error in answer.json()["errors"]] == ["after"]


def test_a_list_goes_not_on_after_somebody_elses_message(client, post, email):
    number = post(email).json()["id"]

    answer = client.get(f"{email.path}?after={number}", headers=headers_of(UserFactory()))

    assert [error["path"] for error in answer.json()["errors"]] == ["after"]


@pytest.mark.parametrize("sign", ["+", "%2B", "%20"])
@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_plus_however_it_is_written_means_the_oldest_first(three, ids, kind, sign, field):
    expected = three if field == "created_at" else three[::-1]

    assert ids(kind, f"?sort_by={sign}{field}") == expected


@pytest.mark.parametrize("sign", ["-", "", "%2D"])
@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_minus_or_nothing_means_the_newest_first(three, ids, kind, sign, field):
    expected = three[::-1] if field == "created_at" else three

    assert ids(kind, f"?sort_by={sign}{field}") == expected


@pytest.mark.parametrize(
    "order", ["id", "status", "created_at;x", "xxupdated_at", "++created_at", "created_at-", "%00"]
)
def test_there_is_no_other_order(client, headers, kind, order):
    answer = client.get(f"{kind.path}?sort_by={order}", headers=headers)

    assert code_of(answer) == (400, "api_validation")
    assert [error["path"] for error in answer.json()["errors"]] == ["sort_by"]


@pytest.mark.parametrize(
    ("operator", "found"), [("gt", [2]), ("gte", [2, 1]), ("lt", [0]), ("lte", [1, 0])]
)
def test_a_time_that_an_answer_showed_is_a_bound_to_the_millisecond(
    three, get, ids, kind, operator, found
):
    shown = get(f"{kind.path}/{three[1]}")["created_at"]

    assert ids(kind, f"?created_at[{operator}]={shown}") == [three[place] for place in found]


def test_bounds_may_be_combined_even_on_one_side(three, get, ids, kind):
    first, second, third = (get(f"{kind.path}/{number}")["created_at"] for number in three)

    assert ids(kind, f"?created_at[gte]={first}&created_at[lt]={third}") == [three[1], three[0]]
    assert ids(kind, f"?created_at[gt]={first}&created_at[gte]={third}") == [three[2]]
    assert ids(kind, f"?created_at%5Bgt%5D={second}") == [three[2]]


@pytest.mark.parametrize(
    "bound",
    [
        "2026-01-31T09:00:00Z",
        "2026-01-31T09:00:00.000Z",
        "2026-01-31T09:00:00",
        "2026-01-31T09:00",
        "2026-01-31T17:00:00%2B08:00",
        "2026-01-31T17:00:00+08:00",
        "2026-01-31T17:00:00%2B0800",
        "2026-01-31T04:00:00-05:00",
    ],
)
def test_a_time_without_a_zone_is_utc(post, ids, email, bound):
    number = post(email).json()["id"]
    moment = "2026-01-31T09:00:00Z"
    Transactional.objects.update(created_at=moment)

    assert ids(email, f"?created_at[gte]={bound}&created_at[lte]={bound}") == [number]
    assert ids(email, f"?created_at[gt]={bound}") == []


def test_a_day_is_its_beginning_in_utc(post, ids, email):
    number = post(email).json()["id"]
    Transactional.objects.update(created_at="2026-01-31T00:00:00Z")

    assert ids(email, "?created_at[gte]=2026-01-31&created_at[lt]=2026-02-01") == [number]
    assert ids(email, "?created_at[gt]=2026-01-31") == []


def test_a_tag_is_matched_whole(post, ids, email):
    marked = post(email, tag="feb").json()["id"]
    post(email, tag="feb-visits")
    post(email)

    assert ids(email, "?tag=feb") == [marked]
    assert ids(email, "?tag=FEB") == []


@pytest.mark.parametrize("status", ["accepted", "ACCEPTED", "Accepted"])
def test_a_status_may_be_written_in_any_letters(post, ids, kind, status, sandbox):
    number = post(kind).json()["id"]

    assert ids(kind, f"?status={status}") == [number]
    assert ids(kind, "?status=DELIVERED") == []


def test_filters_count_together_and_before_the_steps(post, get, email):
    marked = [post(email, tag="feb").json()["id"] for _ in range(2)]
    post(email, tag="mar")

    page = get(email.path, "?tag=feb&status=accepted&limit=1&sort_by=%2Bcreated_at")

    assert [row["id"] for row in page["data"]] == marked[:1]
    assert page["has_more"] is True
    assert get(email.path, "?tag=feb&offset=1&limit=1")["has_more"] is False


@pytest.mark.parametrize(("value", "is_shown"), [("true", False), ("TRUE", False), ("false", True)])
def test_what_was_written_may_be_left_out(post, get, email, value, is_shown):
    post(email)

    [row] = get(email.path, f"?exclude_params={value}")["data"]

    assert ("params" in row) is is_shown


def test_every_channel_has_its_own_longest_page(client, headers, kind):
    most = MOST[kind.name]

    assert client.get(f"{kind.path}?limit={most}", headers=headers).status_code == 200
    assert code_of(client.get(f"{kind.path}?limit={most + 1}", headers=headers)) == (
        400,
        "api_validation",
    )


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=%D9%A1", "limit"),
        ("offset=-1", "offset"),
        ("offset=2147483648", "offset"),
        ("offset=x", "offset"),
        ("status=LOST", "status"),
        ("status=SENT&status=DELIVERED", "status"),
        ("status=", "status"),
        ("created_at[gt]=yesterday", "created_at[gt]"),
        ("created_at[lt]=2026-02-30", "created_at[lt]"),
        ("created_at[gte]=1769850000", "created_at[gte]"),
        ("created_at[lte]=2026-01-01&created_at[lte]=2026-01-02", "created_at[lte]"),
        ("created_at[ne]=2026-01-01", "created_at[ne]"),
        ("created_at=2026-01-01", "created_at"),
        ("exclude_params=yes", "exclude_params"),
        ("colour=red", "colour"),
    ],
)
def test_what_a_list_does_not_understand_is_refused_with_its_path(
    client, headers, kind, query, path
):
    answer = client.get(f"{kind.path}?{query}", headers=headers)

    assert code_of(answer) == (400, "api_validation")
    assert [error["path"] for error in answer.json()["errors"]] == [path]


@pytest.mark.parametrize("query", ["tag=" + "x" * 256, "tag=", "tag=a&tag=b", "tag=%00"])
def test_a_tag_that_no_email_has_is_refused(client, headers, email, query):
    answer = client.get(f"{email.path}?{query}", headers=headers)

    assert [error["path"] for error in answer.json()["errors"]] == ["tag"]


@pytest.mark.parametrize("name", ["sms", "govsg"])
def test_only_emails_have_tags(request, client, headers, name):
    kind = request.getfixturevalue(name)

    assert code_of(client.get(f"{kind.path}?tag=x", headers=headers)) == (400, "api_validation")


def test_several_faults_are_told_at_once(client, headers, kind):
    answer = client.get(f"{kind.path}?limit=0&offset=x&status=LOST", headers=headers)

    assert [error["path"] for error in answer.json()["errors"]] == ["limit", "offset", "status"]


def test_a_list_costs_the_same_for_one_and_for_three(
    post, client, headers, kind, sandbox, django_assert_num_queries
):
    post(kind)
    send_chunk(None)
    client.get(kind.path, headers=headers)
    counts = []
    for _ in range(2):
        with django_assert_num_queries(3) as queries:
            client.get(kind.path, headers=headers)
        counts.append(len(queries))
        post(kind)
        post(kind)
        send_chunk(None)

    assert counts[0] == counts[1]
