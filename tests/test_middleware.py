import pytest

CALL = "/api/v2/campaigns/campaign_x/messages"
KEY = {"Authorization": "Bearer key_live_secret"}


@pytest.fixture
def deployed(settings):
    """As `settings.production` has it, behind a proxy that ends HTTPS."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def error_of(answer):
    return {"status": answer.status_code, **answer.json()["error"]}


# v2-sms §3.1
@pytest.mark.parametrize("path", [CALL, "/api/", "/api/v2/no/such/path"])
@pytest.mark.parametrize("headers", [KEY, KEY | {"X-Forwarded-Proto": "http"}])
def test_an_api_call_over_plain_http_is_refused_and_not_redirected(client, deployed, path, headers):
    answer = client.post(path, headers=headers)

    assert error_of(answer) == {
        "status": 403,
        "code": "https_required",
        "message": "Call over HTTPS. If this call carried a key, others may have read it: "
        "replace it.",
        "type": "domain_error",
        "id": answer["X-Request-Id"],
    }
    assert "Location" not in answer


@pytest.mark.django_db
def test_a_call_that_came_to_the_proxy_over_https_is_let_in(client, deployed):
    answer = client.get(CALL, headers=KEY | {"X-Forwarded-Proto": "https"})

    assert error_of(answer)["code"] == "invalid_api_key_provided"


def test_pages_are_redirected_to_https(client, deployed):
    answer = client.get("/campaigns/")

    assert (answer.status_code, answer["Location"]) == (301, "https://testserver/campaigns/")


def test_health_is_told_over_plain_http(client, deployed):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_host_that_is_not_ours_gets_the_apis_own_error(client):
    answer = client.get(CALL, headers=KEY | {"Host": "evil.example"})

    assert error_of(answer) == {
        "status": 400,
        "code": "parameter_invalid",
        "message": "Call this API by its own name: http://localhost:8000.",
        "type": "domain_error",
        "id": answer["X-Request-Id"],
    }


def test_a_page_of_a_host_that_is_not_ours_is_refused(client):
    answer = client.get("/campaigns/", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", [CALL, "/api/schema", "/api/v2/no/such/path"])
@pytest.mark.django_db
def test_an_answer_of_the_api_says_that_nothing_may_show_guess_or_frame_it(client, deployed, path):
    answer = client.get(path, headers=KEY | {"X-Forwarded-Proto": "https"})

    assert answer["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert int(answer["Content-Length"]) == len(answer.content)
    assert not answer.cookies


@pytest.mark.django_db
def test_a_page_has_the_policy_of_pages(client):
    assert "script-src 'self' 'nonce-" in client.get("/login")["Content-Security-Policy"]
