from uuid import uuid4

import pytest
from django.conf import settings
from structlog.stdlib import ProcessorFormatter


@pytest.mark.parametrize("name", ["json", "console"])
def test_the_secret_of_a_callback_address_is_in_no_log(client, caplog, name):
    client.get(f"/callbacks/twilio/gov/{uuid4()}/{'5ec2e7' * 5}")

    [record] = [record for record in caplog.records if record.name == "django.request"]
    options = settings.LOGGING["formatters"][name]
    line = ProcessorFormatter(**{key: options[key] for key in options if key != "()"}).format(
        record
    )
    assert "Method Not Allowed (GET): /callbacks/twilio/gov/" in line
    assert "5ec2e7" not in line
