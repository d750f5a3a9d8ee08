import pytest
import requests

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# The example of the Standard Webhooks specification.
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,bm9uZQ== v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def tell(sandbox, body=BODY, name="demo"):
    return requests.post(f"{sandbox.url}/webhooks/{name}", data=body, headers=HEADERS)


def told(sandbox, name=""):
    return sandbox.get(f"/webhooks.json?name={name}")["events"]


def test_events_are_kept_by_name_newest_first(sandbox):
    for name in ("demo", "other", "demo"):
        assert tell(sandbox, name=name).status_code == 200

    assert [event["name"] for event in told(sandbox)] == ["demo", "other", "demo"]
    assert [event["body"] for event in told(sandbox, "other")] == [BODY.decode()]


def test_signatures_are_checked_once_a_secret_is_given(sandbox):
    tell(sandbox)
    tell(sandbox, body=BODY + b" ")
    assert [event["signature"] for event in told(sandbox)] == ["unknown", "unknown"]

    requests.post(f"{sandbox.url}/webhooks", {"secret": f" {SECRET} "})

    assert [event["signature"] for event in told(sandbox)] == ["invalid", "valid"]
    page = requests.get(f"{sandbox.url}/webhooks").text
    assert page.index("signature invalid") < page.index("signature valid")
    assert SECRET not in page


def test_the_receiver_fails_on_demand(sandbox):
    sandbox.control(webhooks={"status": 500})

    assert tell(sandbox).status_code == 500
    assert told(sandbox)[0]["answered"] == 500
    assert "Every event is answered 500" in requests.get(f"{sandbox.url}/webhooks").text


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%", "other"])
def test_what_is_no_secret_is_refused(sandbox, secret):
    assert requests.post(f"{sandbox.url}/webhooks", {"secret": secret}).status_code == 422
    assert sandbox.get("/control")["webhooks"]["secrets"] == []
