import re

import pytest
from django.urls import reverse

from messaging.models import Message
from tests.factories import CampaignFactory
from tests.messaging.rows import make_message

TYPED = {
    "message_id": "01900000-0000-7000-8000-000000000001",
    "country": "65",
    "number": "9123 4567",
    "language": "english",
    "values.name": 'Mei Ling, "Mei"',
    "values.clinic": "Bedok",
}


@pytest.fixture
def client(client_of, officer):
    return client_of(officer)


def send(client, campaign, **changes):
    return client.post(reverse("compose-single", args=[campaign.pk]), TYPED | changes)


def test_a_message_is_sent_and_its_page_shown(client, officer, campaign):
    answer = send(client, campaign)

    message = Message.objects.get()
    assert answer.status_code == 302
    assert answer.url == reverse("message", args=[campaign.pk, message.pk])
    assert (message.recipient, message.creator, message.status) == (
        "6591234567",
        officer,
        "created",
    )
    assert message.values == {"name": 'Mei Ling, "Mei"', "clinic": "Bedok"}
    assert message.via_api is False


@pytest.mark.parametrize(
    ("country", "number", "recipient"),
    [
        ("65", "9123-4567", "6591234567"),
        ("65", "6591234567", "6591234567"),
        ("65", "+65 9123 4567", "6591234567"),
        ("60", "12 345 6789", "60123456789"),
        ("65", "+60 12-345 6789", "60123456789"),
        ("", "60 (12) 345 6789", "60123456789"),
    ],
)
def test_a_number_may_be_typed_as_people_write_it(client, campaign, country, number, recipient):
    send(client, campaign, country=country, number=number)

    assert Message.objects.get().recipient == recipient


def test_everything_wrong_is_said_at_once_and_nothing_typed_is_lost(client, campaign):
    answer = send(client, campaign, number="123", **{"values.name": "", "values.clinic": "[Bedok]"})

    html = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="123"' in html
    assert 'value="[Bedok]"' in html
    assert answer.context["form"].errors["values.name"] == ["Enter a value for {{name}}."]
    assert not Message.objects.exists()


def test_what_the_rules_refuse_stands_beside_its_field(client, campaign):
    answer = send(client, campaign, number="123", **{"values.clinic": "[Bedok]"})

    errors = answer.context["form"].errors
    assert answer.status_code == 422
    assert set(errors) == {"number", "values.clinic"}
    assert 'href="#id_values.clinic"' in answer.content.decode()
    assert not Message.objects.exists()


def test_letters_in_a_number_are_refused_and_not_dropped(client, campaign):
    assert send(client, campaign, number="9123 45A7").status_code == 422
    assert not Message.objects.exists()


def test_send_pressed_twice_sends_one_message(client, campaign):
    first = send(client, campaign)
    second = send(client, campaign)

    assert first.url == second.url
    assert Message.objects.count() == 1
    assert "was sent already" in client.get(second.url).content.decode()


def test_going_back_and_changing_the_message_sends_another(client, campaign):
    send(client, campaign)
    answer = send(client, campaign, number="9888 8888")

    assert answer.status_code == 302
    assert set(Message.objects.values_list("recipient", flat=True)) == {
        "6591234567",
        "6598888888",
    }


def test_the_id_of_somebody_elses_message_leads_nowhere(client, campaign):
    other = make_message(CampaignFactory())

    answer = send(client, campaign, message_id=str(other.pk))

    assert answer.status_code == 302
    assert str(other.pk) not in answer.url
    assert Message.objects.filter(campaign=campaign).count() == 1


def test_each_opening_of_the_page_is_another_message(client, campaign):
    def message_id():
        html = client.get(reverse("compose-single", args=[campaign.pk])).content.decode()
        return re.search(r'name="message_id" value="([^"]+)"', html)[1]

    assert message_id() != message_id()


def test_one_language_is_chosen_already(client, officer):
    campaign = CampaignFactory(creator=officer, bodies={"malay": "{{name}}, jumpa."})

    html = client.get(reverse("compose-single", args=[campaign.pk])).content.decode()
    assert "in this language only" in html
    assert "disabled" in html

    typed = {**TYPED, "language": ""}
    client.post(reverse("compose-single", args=[campaign.pk]), typed)
    assert Message.objects.get().template_body.language == "malay"


def test_the_preview_shows_header_text_and_footer(client, campaign):
    html = client.get(reverse("compose-single", args=[campaign.pk])).content.decode()

    assert "Ministry of Health" in html
    assert "<mark>{{name}}</mark>" in html
    assert "Do not reply." in html
    assert 'name="values.clinic"' in html
