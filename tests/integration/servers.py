"""Private Redis and RabbitMQ servers for tests, from Debian's packages, on free loopback ports.

Every server is a child of the test run in a directory of its own and is ended by its own process
ids. Ready means that it answers its protocol, found by polling with a deadline; what it last said
is in the error when it does not.
"""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPBasicAuthHandler as BasicAuth
from urllib.request import HTTPPasswordMgrWithDefaultRealm, Request, build_opener

RABBITMQ_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
RABBITMQ_40 = Path(
    os.environ.get("UMBEL_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umbel",
    "rabbitmq-4.0",
)
"""What `hack/newer-brokers` makes: the root of a newer Debian with its RabbitMQ."""
REDIS_COMMAND = os.environ.get("UMBEL_REDIS_SERVER") or "redis-server"
"""The Redis of all tests: another version's, or a Valkey (`make brokers-matrix`)."""
RABBITMQ_ROOT = Path(found) if (found := os.environ.get("UMBEL_RABBITMQ_ROOT")) else None
"""The system whose RabbitMQ all tests use, as `RABBITMQ_40`; None: this machine's."""
REDIS_START_SECONDS = 10
RABBITMQ_START_SECONDS = 60


def _ports() -> Iterator[int]:
    """Below the range from which the kernel takes ports for connections (32768 on Linux), and for
    each process of a parallel run others: one that was found free stays so until it is used."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw8").removeprefix("gw")) % 9
    first, count = 11_000 + 2_000 * number, 2_000
    for offset in itertools.count(os.getpid() * 37):
        yield first + offset % count


_NEXT_PORTS = _ports()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    for port in _NEXT_PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def wait_until(what: str, check: Callable[[], object], seconds: float, every: float = 0.05) -> None:
    """Poll until `check` is true.

    Raises:
        TimeoutError: it never was; the message holds what it last gave or raised.
    """
    deadline = time.monotonic() + seconds  # noqa: TID251 - a real server keeps real time
    last: object = None
    while time.monotonic() < deadline:  # noqa: TID251
        try:
            last = check()
        except (OSError, ValueError) as error:
            last = error
        else:
            if last:
                return
        time.sleep(every)
    message = f"{what}: not so after {seconds} s; last seen: {last!r}"
    raise TimeoutError(message)


class _Server:
    """One process group that this test run started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        log = (self.directory / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:
            group = self._process.pid
            wait_until(f"process group {group} stands still", lambda: _all_stopped(group), 10)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """The end of what the server printed."""
        path = self.directory / "server.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def _wait_ready(self, check: Callable[[], object], seconds: float) -> None:
        try:
            wait_until(f"{type(self).__name__} in {self.directory} is ready", check, seconds)
        except TimeoutError as error:
            message = f"{error}\nits log ends with:\n{self.log()}"
            self.stop()
            raise TimeoutError(message) from None

    def stop(self) -> None:
        """End it and wait until it is gone."""
        raise NotImplementedError


def _all_stopped(group: int) -> bool:
    """Whether every thread of a process group was stopped: a signal takes effect a moment later."""
    states = []
    for status in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
            states += [state] if int(its_group) == group else []
    return bool(states) and all(state in "TtZX" for state in states)


class RedisServer(_Server):
    """A Redis without persistence; what it holds is gone after `stop`."""

    def __init__(self, directory: Path, *options: str, password: str | None = None) -> None:
        super().__init__(directory)
        self.port = free_port()
        self.password = password
        self._options = options

    def url(self, db: int = 0) -> str:
        """The broker URL of one database, with the password if there is one."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/{db}"

    def start(self) -> None:
        """Start on the same port as before and wait until it answers."""
        secret = ["--requirepass", self.password] if self.password else []
        # No file, no snapshot, no log of its own: nothing is left but the directory.
        plain = ["--save", "", "--appendonly", "no", "--daemonize", "no", *secret, *self._options]
        self._spawn([REDIS_COMMAND, "--bind", "127.0.0.1", "--port", str(self.port), *plain])
        self._wait_ready(self._answers, REDIS_START_SECONDS)

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))

    def stop(self) -> None:
        """End it at once and wait until it is gone."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None


class RabbitMQServer(_Server):
    """A RabbitMQ node with the management API and an epmd of its own; messages survive `stop`."""

    user = "guest"
    password = "guest"

    def __init__(self, directory: Path, root: Path | None = None, *settings: str) -> None:
        """A server of the machine's own package, or of the system below `root`.

        Args:
            directory: its own.
            root: of another system.
            settings: more lines of `rabbitmq.conf`.
        """
        super().__init__(directory)
        self._root = root
        self._settings = settings
        self.amqp_port = free_port()
        self.management_port = free_port()
        self._epmd_port = free_port()
        self._dist_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node = f"umbel-{uuid.uuid4().hex[:12]}@localhost"

    @property
    def url(self) -> str:
        """The broker URL of the default virtual host."""
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{self.amqp_port}//"

    @property
    def management_url(self) -> str:
        """Root of the HTTP API, credentials included."""
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.management_port}"

    def start(self) -> None:
        """Start on the same ports with the same data as before; wait for AMQP and the HTTP API."""
        self._write_configuration()
        self._start_epmd()
        self._spawn(self._command(), self._environment())
        self._wait_ready(self._answers, RABBITMQ_START_SECONDS)

    def _command(self) -> list[str]:
        """Of another system: in a mount namespace of its own, which shows it our directory."""
        if self._root is None:
            return [str(RABBITMQ_SCRIPT)]
        script = (
            'mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/tmp"; mkdir -p "$0$1"; '
            'mount --bind "$1" "$0$1"; exec chroot "$0" "$2"'
        )
        inside = [str(self._root), str(self.directory), str(RABBITMQ_SCRIPT)]
        return ["unshare", "--mount", "sh", "-euc", script, *inside]

    def _write_configuration(self) -> None:
        (self.directory / "plugins").write_text("[rabbitmq_management].\n")
        (self.directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.amqp_port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            f"management.tcp.port = {self.management_port}\n"
            "disk_free_limit.absolute = 1MB\n" + "".join(f"{line}\n" for line in self._settings)
        )

    def _environment(self) -> dict[str, str]:
        here = str(self.directory)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": here,  # where Erlang makes its cookie
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{here}/data",
            "RABBITMQ_LOG_BASE": f"{here}/log",
            "RABBITMQ_PID_FILE": f"{here}/pid",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Erlang's schedulers spin while they wait; with two cores that is felt by everybody.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _start_epmd(self) -> None:
        """In the foreground and ours: Erlang would leave one of its own behind for ever."""
        if self._epmd is None:
            self._epmd = subprocess.Popen(
                [_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_until("epmd listens", lambda: _listens(self._epmd_port), 10)

    def _answers(self) -> bool:
        return _listens(self.amqp_port) and self._lists_queues()

    def _lists_queues(self) -> bool:
        """Whether it is quite up: for a second before, 4.0 lists no queue, whatever there is."""
        queue = "/api/queues/%2F/umbel-is-it-up"
        self.api(queue, "PUT", b'{"durable": true}')
        listing = "/api/queues/%2F?disable_stats=true&enable_queue_totals=true&page=1&name="
        seen = self.api(f"{listing}umbel-is-it-up&columns=name", want=b"umbel-is-it-up")
        return seen == 200 and self.api(queue, "DELETE") == 204

    def api(
        self, path: str, method: str = "GET", body: bytes | None = None, want: bytes = b""
    ) -> int:
        """Ask the HTTP API.

        Returns:
            The HTTP status; 0 where the answer does not have the wanted words.
        """
        manager = HTTPPasswordMgrWithDefaultRealm()
        root = f"http://127.0.0.1:{self.management_port}"
        manager.add_password(None, root, self.user, self.password)
        try:
            request = Request(
                root + path, body, {"Content-Type": "application/json"}, method=method
            )
            with build_opener(BasicAuth(manager)).open(request, timeout=2) as answer:
                return int(answer.status) if want in answer.read() else 0
        except HTTPError as error:
            error.close()
            return int(error.code)
        except URLError as error:
            raise OSError(str(error.reason)) from error

    def stop(self) -> None:
        """End the node (orderly first) and wait until it is gone; its epmd stays for `start`."""
        if self._process is None:
            return
        self.resume()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int((self.directory / "pid").read_text()), signal.SIGTERM)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):  # helpers of Erlang's outlive it by moments
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None

    def kill(self) -> None:
        """End the node without a chance to write anything down; `start` finds its data."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)
            self._process = None

    def close(self) -> None:
        """End the node and its epmd at once: an orderly end takes 6 s, for data nobody reads."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(timeout=10)
            self._epmd = None


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _epmd() -> str:
    found = shutil.which("epmd")
    if found is None:
        message = "epmd is not installed (it comes with Debian's erlang-base)"
        raise FileNotFoundError(message)
    return found


def redis_missing() -> str | None:
    """Why no Redis can be started here; None when one can."""
    if shutil.which(REDIS_COMMAND):
        return None
    return f"{REDIS_COMMAND} is not there (apt-get install redis-server)"


def rabbitmq_40_missing() -> str | None:
    """Why no RabbitMQ 4.0 can be started here; None when one can."""
    return _rabbitmq_missing_in(RABBITMQ_40)


def rabbitmq_missing() -> str | None:
    """Why no RabbitMQ can be started here; None when one can."""
    if RABBITMQ_ROOT is not None:
        return _rabbitmq_missing_in(RABBITMQ_ROOT)
    return rabbitmq_missing_here()


def rabbitmq_missing_here() -> str | None:
    """The same of the machine's own package."""
    if RABBITMQ_SCRIPT.exists() and shutil.which("epmd"):
        return None
    return "rabbitmq-server is not installed (apt-get install rabbitmq-server)"


def _rabbitmq_missing_in(root: Path) -> str | None:
    if os.geteuid() != 0:
        return "a RabbitMQ of another system needs root, for a mount namespace"
    if root.exists() and shutil.which("epmd"):
        return None
    return f"there is no RabbitMQ in {root} (hack/newer-brokers makes a 4.0)"
