import json
import os
import shlex
import socket
import subprocess
import sys

from postman import local
from postman.local import ROOT
from postman.local.demo import banner


def run_demo(directory, **environment):
    return subprocess.run(
        [sys.executable, "-m", "postman.local", "demo"],
        cwd=ROOT,
        env={**os.environ, "POSTMAN_LOCAL_DIR": str(directory), **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_port_that_is_taken_is_said_in_a_sentence_that_helps(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        result = run_demo(tmp_path, PORT=str(port))

    assert result.returncode == 1
    assert result.stderr == (
        f"Port {port} is in use by another program. "
        f"Choose another one: PORT={port + 100} make demo\n"
    )


def test_the_banners_curl_line_can_be_pasted_as_it_is():
    facts = {
        "base_url": "http://localhost:8000",
        "sandbox_url": "http://localhost:8001",
        "officer": "officer@health.gov.sg",
        "campaign_id": "campaign_1",
        "api_key": "key_live_1",
        "values": {"name": "Mei Ling's mother", "clinic": "诊所"},
    }

    text = banner(facts)

    pasted = text[text.index("curl") : text.index("\n\n", text.index("curl"))]
    command, url, *options = shlex.split(pasted.replace("\\\n", ""))
    assert (command, url) == (
        "curl",
        "http://localhost:8000/api/v2/campaigns/campaign_1/messages",
    )
    assert options[:4] == [
        *("-H", "Authorization: Bearer key_live_1"),
        *("-H", "Content-Type: application/json"),
    ]
    assert json.loads(options[5])["values"] == facts["values"]


def test_a_running_demo_can_be_found_by_commands_run_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTMAN_LOCAL_DIR", str(tmp_path))
    nothing = local.urls()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "urls.json").write_text('{"REDIS_URL": "redis://127.0.0.1:1/0"}')

    assert nothing is None
    assert local.urls() == {"REDIS_URL": "redis://127.0.0.1:1/0"}
