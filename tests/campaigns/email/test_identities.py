"""SES's identities as moto has them, whose server nobody of us wrote."""

import pytest

from campaigns.email import identities


@pytest.fixture
def moto(settings):
    from moto.moto_api._internal import moto_api_backend
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    settings.ANYMAIL = {
        "AMAZON_SES_CLIENT_PARAMS": {
            "endpoint_url": f"http://127.0.0.1:{port}",
            "region_name": "ap-southeast-1",
            "aws_access_key_id": "AKIAEXAMPLE",
            "aws_secret_access_key": "secret",
        }
    }
    yield
    moto_api_backend.reset()
    server.stop()


def test_a_domain_is_made_found_and_deleted_at_somebody_elses_ses(moto):
    assert identities.find("health.gov.sg") is None

    made = identities.create("health.gov.sg")
    found = identities.find("health.gov.sg")
    identities.delete("health.gov.sg")
    identities.delete("health.gov.sg")

    # It makes no tokens, and nothing of its ever becomes more.
    assert made == found == identities.Identity(tokens=[], state="NOT_STARTED", may_send=False)
    assert identities.find("health.gov.sg") is None


def test_a_provider_that_is_away_is_said_to_be(settings):
    settings.ANYMAIL = {
        "AMAZON_SES_CLIENT_PARAMS": {
            "endpoint_url": "http://127.0.0.1:9",
            "region_name": "ap-southeast-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
    }

    with pytest.raises(identities.Unreachable):
        identities.find("health.gov.sg")
