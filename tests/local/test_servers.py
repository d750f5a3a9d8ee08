"""The embedded servers: real ones, started here and killed here."""

import os
import signal
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from postman.local.servers import (
    Postgres,
    Valkey,
    ensure_postgres,
    ensure_valkey,
    running_servers,
    start,
    stop,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cluster for this module: creating one takes most of the time."""
    return tmp_path_factory.mktemp("servers")


def test_both_servers_run_for_the_length_of_a_block(home):
    with running_servers(home) as urls:
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            facts = connection.execute(
                "SELECT current_database(), current_setting('server_encoding'), upper('é')"
            ).fetchone()
        with redis.Redis.from_url(urls["REDIS_URL"]) as valkey:
            answers = valkey.ping()

    assert facts == ("postman", "UTF8", "É")
    assert answers is True
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(urls["DATABASE_URL"], connect_timeout=1)
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(urls["REDIS_URL"]).ping()


def test_strangers_on_the_same_machine_are_refused(home):
    with running_servers(home) as urls:
        address = urls["DATABASE_URL"].rpartition("@")[2]
        broker = urls["REDIS_URL"].rpartition("@")[2]

        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(f"postgres://postman@{address}")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(f"redis://{broker}").ping()


def test_a_killed_postgres_comes_back_on_its_port_with_its_data(home):
    server = Postgres(home / "postgres", durable=False)
    process = start(server)
    url = server.url
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    # A backend at work outlives its postmaster, and PostgreSQL refuses to start beside it.
    busy = psycopg.connect(url)
    busy.pgconn.send_query(b"SELECT sum(i) FROM (SELECT generate_series(1, 1e9::bigint) i) long")
    backend = psutil.Process(busy.info.backend_pid)

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = start(server)

    assert server.url == url
    assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        connection.execute("DROP TABLE kept")
    stop(server, again)


def test_a_killed_valkey_comes_back_on_its_port_with_its_data(tmp_path):
    server = Valkey(tmp_path)
    process = start(server)
    url = server.url
    redis.Redis.from_url(url).set("kept", "yes")

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = start(server)

    assert server.url == url
    assert redis.Redis.from_url(url, decode_responses=True).get("kept") == "yes"
    stop(server, again)


def test_a_server_that_already_runs_is_used_again(home):
    first = (ensure_postgres(home / "postgres", durable=False), ensure_valkey(home / "valkey"))
    server_started = "SELECT pg_postmaster_start_time()"
    with psycopg.connect(first[0]) as connection:
        started_at = connection.execute(server_started).fetchone()
    run_id = redis.Redis.from_url(first[1]).info("server")["run_id"]

    second = (ensure_postgres(home / "postgres", durable=False), ensure_valkey(home / "valkey"))

    assert second == first
    with psycopg.connect(second[0]) as connection:
        assert connection.execute(server_started).fetchone() == started_at
    assert redis.Redis.from_url(second[1]).info("server")["run_id"] == run_id
    # Left running by contract; the next start on these directories ends them.
    for server in (Postgres(home / "postgres", durable=False), Valkey(home / "valkey")):
        server.prepare()
        assert not server.is_ready()


def test_another_program_on_its_port_moves_the_server_to_another_one(tmp_path):
    server = Valkey(tmp_path / "one")
    process = start(server)
    other = Valkey(tmp_path / "two")
    other.prepare()
    (tmp_path / "two" / "port").write_text((tmp_path / "one" / "port").read_text())

    moved = start(other)

    assert other.url.rpartition(":")[2] != server.url.rpartition(":")[2]
    assert redis.Redis.from_url(other.url).ping()
    stop(other, moved)
    stop(server, process)


def test_the_data_of_a_cluster_is_for_its_owner_alone(home):
    Postgres(home / "postgres").prepare()

    modes = {
        path.relative_to(home).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in (home / "postgres", home / "postgres/cluster", home / "postgres/password")
    }
    assert modes == {"postgres": "0o700", "postgres/cluster": "0o700", "postgres/password": "0o600"}
