from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Callable, Iterable, Sequence

import httpcore
import httpx
import pytest

from antiphon.errors import (
    IntegrationInvalidRequestException,
    IntegrationInvalidResponseException,
    IntegrationUnavailableException,
)
from antiphon.tools.guarded_http import Fetched, fetch, guarded_client
from antiphon.tools.guarded_transport import GuardedTransport
from antiphon.tools.network_guard import NetworkGuard, Resolve
from tests.tools.web import Answer, Seen, Web, Write, always, redirect, response, web

PUBLIC = "93.184.216.34"
SECRETS = {"authorization": "Bearer s3cret", "x-api-key": "k3y", "cookie": "a=b", "accept-language": "de"}


async def get(url: str, allow: Iterable[str] = (), **options: object) -> Fetched:
    async with guarded_client(allow_hosts=allow) as client:
        return await fetch(client, "GET", url, **options)  # type: ignore[arg-type]


def names(*answers: str | Sequence[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives these answers, one a question, and the questions it was asked."""
    left = list(answers)
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        answer = left.pop(0)
        return [answer] if isinstance(answer, str) else answer

    return resolve, asked


class Detour(httpcore.AsyncNetworkBackend):
    """Notes the address that is connected to, and connects to a loopback port in its place."""

    def __init__(self, port: int, dead: Sequence[str] = ()) -> None:
        self.port = port
        self.dead = dead
        self.addresses: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.addresses.append(host)
        if host in self.dead:
            raise httpcore.ConnectError("no route")
        return await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self.port, timeout)


async def test_an_allowed_host_answers() -> None:
    answer = response(200, '{"grüße": 1}'.encode(), {"content-type": "Application/JSON; charset=utf-8"})
    async with web(always(answer)) as server:
        fetched = await get(f"{server.url}/a?b=c", [server.host], headers={"x-key": "1"})
    assert (fetched.status, fetched.media_type, fetched.text) == (200, "application/json", '{"grüße": 1}')
    seen = server.seen[0]
    assert (seen.method, seen.path, seen.headers["x-key"], seen.headers["host"]) == ("GET", "/a?b=c", "1", server.host)


async def test_an_allowed_host_is_allowed_on_its_port_only() -> None:
    async with web(always(response())) as server:
        assert (await get(server.url, ["127.0.0.1"])).status == 200
        with pytest.raises(IntegrationInvalidRequestException, match="ANTIPHON_URL_ALLOW_HOSTS"):
            await get(server.url, [f"127.0.0.1:{server.port + 1}"])
        # The name is what is allowed, not whatever else leads to the same address.
        with pytest.raises(IntegrationInvalidRequestException):
            await get(f"http://2130706433:{server.port}/", ["127.0.0.1"])
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/",
        "https://192.168.0.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://017700000001/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://user:s3cret@example.com/",
        "http://user@127.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/_x",
        "//example.com/",
        "example.com",
        "http://",
        "http://exa mple:x/",
        "",
    ],
)
async def test_a_target_that_is_not_public_http_is_denied(url: str) -> None:
    with pytest.raises(IntegrationInvalidRequestException) as raised:
        await get(url + "?token=s3cret" if url.endswith("/") else url)
    assert raised.value.code == "denied"
    assert not raised.value.retryable
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "//127.0.0.1:1/x",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0x7f000001/",
        "http://user:pw@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_to_what_is_not_public_is_denied(location: str) -> None:
    async with web(always(redirect(location))) as server:
        with pytest.raises(IntegrationInvalidRequestException) as raised:
            await get(server.url, [server.host])
    assert raised.value.code == "denied"
    assert len(server.seen) == 1


async def test_a_name_is_denied_when_any_of_its_addresses_is_private() -> None:
    detour = Detour(1)
    resolve, _ = names([PUBLIC, "10.0.0.1"])
    async with httpx.AsyncClient(transport=GuardedTransport(NetworkGuard(resolve=resolve, network=detour))) as client:
        with pytest.raises(IntegrationInvalidRequestException) as raised:
            await fetch(client, "GET", "http://both.test/?q=s3cret")
    assert raised.value.code == "denied"
    assert str(raised.value).startswith("both.test is not on the public network")
    assert detour.addresses == []


async def test_a_name_that_changes_after_the_check_cannot_lead_inside() -> None:
    """One question a connection, and the connection goes to the very address of its answer."""
    resolve, asked = names(PUBLIC, "127.0.0.1")
    async with web(always(response(200, b"public"))) as server:
        detour = Detour(server.port)
        transport = GuardedTransport(NetworkGuard(resolve=resolve, network=detour))
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await fetch(client, "GET", "http://rebind.test/")).text == "public"
            assert (asked, detour.addresses) == (["rebind.test"], [PUBLIC])
            with pytest.raises(IntegrationInvalidRequestException):
                await fetch(client, "GET", "http://rebind.test/")
    assert (asked, detour.addresses) == (["rebind.test"] * 2, [PUBLIC])
    assert [seen.headers["host"] for seen in server.seen] == ["rebind.test"]


async def test_the_next_address_is_tried_when_one_is_dead() -> None:
    resolve, _ = names(["2606:4700::1", PUBLIC])
    async with web(always(response())) as server:
        detour = Detour(server.port, dead=["2606:4700::1"])
        transport = GuardedTransport(NetworkGuard(resolve=resolve, network=detour))
        async with httpx.AsyncClient(transport=transport) as client:
            assert (await fetch(client, "GET", "http://two.test/")).status == 200
    assert detour.addresses == ["2606:4700::1", PUBLIC]


@pytest.mark.parametrize(
    ("entry", "host", "allowed"),
    [
        ("::1", "::1", True),
        ("[::1]:80", "::1", True),
        ("[::1]:81", "::1", False),
        (" CRM.local ", "crm.local", True),
        ("crm.local", "crm.local.", True),
        ("bücher.local:80", "xn--bcher-kva.local", True),
        ("local", "crm.local", False),
        ("crm.local", "evil-crm.local", False),
    ],
)
async def test_an_allowed_host_is_compared_as_the_url_writes_it(entry: str, host: str, allowed: bool) -> None:
    resolve, _ = names("::1")
    async with web(always(b"")) as server:
        guard = NetworkGuard(allow_hosts=[entry], resolve=resolve, network=Detour(server.port))
        if allowed:
            await (await guard.connect_tcp(host, 80)).aclose()
        else:
            with pytest.raises(IntegrationInvalidRequestException):
                await guard.connect_tcp(host, 80)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with web(always(response(200, b"proxy"))) as proxy, web(always(response(200, b"direct"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await get(server.url, [server.host, proxy.host])).text == "direct"
    assert proxy.seen == []


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    async def count(seen: Seen, write: Write) -> None:
        left = int(seen.path[1:])
        await write(redirect(f"/{left - 1}") if left else response(200, b"there"))

    async with web(count) as server:
        fetched = await get(f"{server.url}/3", [server.host])
        assert (fetched.text, fetched.url) == ("there", f"{server.url}/0")
        with pytest.raises(IntegrationInvalidResponseException, match="more than 3 times"):
            await get(f"{server.url}/4", [server.host])


async def test_a_loop_of_redirects_ends() -> None:
    async with web(always(redirect("/"))) as server:
        with pytest.raises(IntegrationInvalidResponseException) as raised:
            await get(server.url, [server.host])
    assert raised.value.code == "too_many_redirects"
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
    ],
)
async def test_methods_after_a_redirect_are_those_of_the_standard(status: int, method: str, then: str) -> None:
    async def answer(seen: Seen, write: Write) -> None:
        await write(redirect("/end", status) if seen.path == "/" else response())

    async with web(answer) as server, guarded_client(allow_hosts=[server.host]) as client:
        content = None if method == "HEAD" else b"body"
        headers = {"content-type": "text/plain"}
        assert (await fetch(client, method, server.url, headers=headers, content=content)).status == 200
    last = server.seen[-1]
    kept = method == then and method != "HEAD"
    assert (last.method, last.body) == (then, b"body" if kept else b"")
    assert ("content-type" in last.headers) == (method == then)


async def test_secrets_stay_with_the_host_they_were_given_for() -> None:
    async with web(always(response())) as other:

        async def answer(seen: Seen, write: Write) -> None:
            await write(redirect("/same") if seen.path == "/" else redirect(f"{other.url}/other"))

        async with web(answer) as server, guarded_client(allow_hosts=["127.0.0.1"]) as client:
            client.headers["x-of-the-client"] = "t0ken"
            await fetch(client, "GET", server.url, headers=SECRETS)
    kept = server.seen[-1].headers
    assert {name: kept[name] for name in SECRETS} == SECRETS
    gone = other.seen[0].headers
    assert gone.keys() == {"host", "accept", "accept-encoding", "accept-language", "user-agent"}
    assert gone["host"] == other.host


async def test_cookies_of_one_answer_do_not_reach_the_next_request() -> None:
    answer = response(200, b"", {"set-cookie": "session=of-another-caller; Path=/"})
    async with web(always(answer)) as server, guarded_client(allow_hosts=[server.host]) as client:
        await fetch(client, "GET", server.url)
        await fetch(client, "GET", server.url)
    assert "cookie" not in server.seen[1].headers


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_limit_is_refused(declared: bool) -> None:
    whole = response(200, b"x" * 1001)
    if not declared:
        whole = whole.replace(b"content-length: 1001\r\n", b"")
    async with web(always(whole)) as server:
        assert len((await get(server.url, [server.host], max_bytes=1001)).content) == 1001
        with pytest.raises(IntegrationInvalidResponseException, match="more than 1000 bytes") as raised:
            await get(server.url, [server.host], max_bytes=1000)
    assert raised.value.code == "too_large"


def endless(head: bytes, part: bytes) -> Answer:
    async def answer(seen: Seen, write: Write) -> None:
        await write(head)
        while True:
            await write(part)
            await asyncio.sleep(0)

    return answer


async def test_an_endless_body_is_cut_off() -> None:
    async with web(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536)) as server:
        with pytest.raises(IntegrationInvalidResponseException) as raised:
            await get(server.url, [server.host])
    assert raised.value.code == "too_large"


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()


async def test_packed_content_is_measured_unpacked_and_never_held_whole() -> None:
    bomb = gzip_bomb()
    assert len(bomb) < 100_000
    async with web(always(response(200, bomb, {"content-encoding": "gzip"}))) as server:
        with pytest.raises(IntegrationInvalidResponseException) as raised:
            await get(server.url, [server.host])
        assert raised.value.code == "too_large"
        async with guarded_client(allow_hosts=[server.host]) as client, client.stream("GET", server.url) as streamed:
            sizes = [len(part) async for part in streamed.aiter_bytes()]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= 64 << 10


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
async def test_packed_content_arrives_unpacked(encoding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    async with web(always(response(200, pack(content), {"content-encoding": encoding}))) as server:
        assert (await get(server.url, [server.host])).content == content
    assert server.seen[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"anything"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0)),
        ("gzip", b"no gzip: s3cret"),
        ("gzip", gzip.compress(b"cut short", mtime=0)[:-4]),
    ],
    ids=["not asked for", "packed twice", "damaged", "cut short"],
)
async def test_a_body_that_cannot_be_unpacked_is_an_invalid_response(encoding: str, body: bytes) -> None:
    async with web(always(response(200, body, {"content-encoding": encoding}))) as server:
        with pytest.raises(IntegrationInvalidResponseException) as raised:
            await get(server.url, [server.host])
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-s3cret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ns3cret\x00: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: s3cret\r\n\r\n",
        b"HTTP/1.1 302 X\r\nlocation: http://x:s3cret/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"s3cret" * 40_000,
    ],
    ids=["another protocol", "bad header", "bad length", "bad location", "endless header"],
)
async def test_what_is_no_http_is_an_invalid_response_and_is_not_repeated(answer: bytes) -> None:
    async with web(always(answer)) as server:
        with pytest.raises(IntegrationInvalidResponseException) as raised:
            await get(server.url, [server.host])
    assert "s3cret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"], ids=["at once", "in the body"]
)
async def test_a_broken_connection_is_unavailable(answer: bytes) -> None:
    async with web(always(answer)) as server:
        with pytest.raises(IntegrationUnavailableException) as raised:
            await get(f"{server.url}/?token=s3cret", [server.host])
    assert raised.value.retryable
    assert raised.value.code == "connection_lost"
    assert "s3cret" not in str(raised.value)


async def test_a_host_that_refuses_the_connection_is_unavailable() -> None:
    async with web(always(b"")) as server:
        gone = Web(server.port)
    with pytest.raises(IntegrationUnavailableException, match=r"127\.0\.0\.1 cannot be reached") as raised:
        await get(f"{gone.url}/?token=s3cret", [gone.host])
    assert "s3cret" not in str(raised.value)


async def test_a_name_without_address_is_unavailable() -> None:
    resolve, _ = names([])
    async with guarded_client(resolve=resolve) as client:
        with pytest.raises(IntegrationUnavailableException, match=r"nobody\.test cannot be reached"):
            await fetch(client, "GET", "http://nobody.test/")


def stalls(beginning: bytes) -> Answer:
    async def answer(seen: Seen, write: Write) -> None:
        await write(beginning)
        await asyncio.Event().wait()

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        stalls(b""),
        stalls(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
        # Each byte comes in good time, the end never does.
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"."),
    ],
    ids=["nothing", "half", "drip"],
)
async def test_a_server_that_does_not_end_is_stopped_by_the_total_time(answer: Answer) -> None:
    async with web(answer) as server:
        with pytest.raises(IntegrationUnavailableException) as raised:
            await get(server.url, [server.host], timeout_s=0.1, max_bytes=1 << 40)
    assert raised.value.code == "timeout"


async def test_a_resolver_that_hangs_is_stopped_by_the_total_time() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with guarded_client(resolve=resolve) as client:
        with pytest.raises(IntegrationUnavailableException) as raised:
            await fetch(client, "GET", "http://slow.test/", timeout_s=0.05)
    assert raised.value.code == "timeout"


async def test_a_header_that_http_does_not_allow_is_refused_without_being_repeated() -> None:
    async with web(always(response())) as server:
        for value in ("s3cret\r\nx: y", "s3cret-ü"):
            with pytest.raises(IntegrationInvalidRequestException) as raised:
                await get(server.url, [server.host], headers={"authorization": value})
            assert "s3cret" not in str(raised.value)


async def test_the_text_of_an_odd_charset_is_read_as_utf_8() -> None:
    for charset in ("hex", "idna", "latin-1", "unheard-of"):
        headers = {"content-type": f"text/plain; charset={charset}"}
        async with web(always(response(200, b"abc \xff", headers))) as server:
            assert (await get(server.url, [server.host])).text[:3] == "abc"


async def test_the_plain_client_streams_piece_by_piece() -> None:
    go_on = asyncio.Event()

    async def answer(seen: Seen, write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await go_on.wait()
        await write(b"data: 2\n\n")

    async with (
        web(answer) as server,
        guarded_client(allow_hosts=[server.host]) as client,
        client.stream("POST", server.url, json={}) as streamed,
    ):
        lines = streamed.aiter_lines()
        assert await anext(lines) == "data: 1"
        go_on.set()
        assert [line async for line in lines if line] == ["data: 2"]


async def test_the_plain_client_is_guarded_too() -> None:
    async with web(always(redirect("http://[::1]/"))) as server, guarded_client(allow_hosts=[server.host]) as client:
        with pytest.raises(IntegrationInvalidRequestException):
            await client.get(server.url, follow_redirects=True)
        with pytest.raises(IntegrationInvalidRequestException, match="user name or password"):
            await client.get(f"http://me:pw@{server.host}/")


async def test_errors_of_the_plain_client_do_not_repeat_what_the_server_sent() -> None:
    answer = always(b"HTTP/1.1 200 OK\r\ns3cret\x00: x\r\n\r\n")
    async with web(answer) as server, guarded_client(allow_hosts=[server.host]) as client:
        with pytest.raises(httpx.RemoteProtocolError) as raised:
            await client.get(server.url)
    assert "s3cret" not in str(raised.value)


async def test_tls_asks_for_and_checks_the_name_in_the_url_not_the_address() -> None:
    trustme = pytest.importorskip("trustme", reason="makes a throw-away certificate; pip install trustme")
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("service.test").configure_cert(serving)
    asked: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with web(always(response(200, b"secret")), tls=serving) as server:
        allow = ["service.test", "other.test"]
        async with guarded_client(allow_hosts=allow, resolve=resolve, ssl_context=trusting) as client:
            assert (await fetch(client, "GET", f"https://service.test:{server.port}/")).text == "secret"
            assert server.seen[0].headers["host"] == f"service.test:{server.port}"
            with pytest.raises(IntegrationUnavailableException, match=r"other\.test cannot be reached"):
                await fetch(client, "GET", f"https://other.test:{server.port}/")
        async with guarded_client(allow_hosts=allow, resolve=resolve) as client:
            with pytest.raises(IntegrationUnavailableException, match="certificate"):
                await fetch(client, "GET", f"https://service.test:{server.port}/")
    assert asked == ["service.test", "other.test", "service.test"]
    assert len(server.seen) == 1
