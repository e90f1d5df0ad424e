"""A TCP proxy that can lose the network: what is sent gets lost, and nobody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator


class Proxy:
    """Stands before one port of 127.0.0.1."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._lost = 0
        """How often the network was lost: what began before stays lost."""
        self.port = 0
        self.open = self.most_open = 0
        """Connections that the proxy's clients have, and the most there were."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """No port is open any more, and every connection ends."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def lose(self) -> None:
        """From now on nothing passes, on connections old and new."""
        self._passes.clear()
        self._lost += 1

    def restore(self) -> None:
        """New connections pass; those from before stay silent for ever."""
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        # A cancelled task would be an error to asyncio's streams, and this is how `close` ends one.
        with contextlib.suppress(asyncio.CancelledError):
            await self._connect_and_pass(reader, writer)
        self.open -= 1

    async def _connect_and_pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        began = self._lost
        with self._kept(writer), contextlib.suppress(OSError):
            await self._passes.wait()
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
            with self._kept(their_writer):
                await asyncio.gather(
                    self._pass(reader, their_writer, began), self._pass(their_reader, writer, began)
                )

    @contextlib.contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: int
    ) -> None:
        while data := await reader.read(65536):
            if self._lost == began:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    made = Proxy(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
