"""Redirects as curl sees them: a gateway, three guards and the applications behind them, all of them real processes."""

import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter

import pytest

from fleet import App, Fleet
from harness import DEADLINE_SECONDS, Proxy, configuration, run
from media import FILE, Media

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")


def curl(*arguments, directory=None):
    """What curl has found out at its end, and the body that it has got."""
    done = subprocess.run(["curl", "-sS", "--max-time", str(DEADLINE_SECONDS), "-w", "\n%{json}", *map(str, arguments)], cwd=directory,
                          capture_output=True, timeout=2 * DEADLINE_SECONDS, check=False)
    body, _, facts = done.stdout.rpartition(b"\n")
    assert done.returncode == 0, (done.returncode, done.stderr, body[:300])
    return json.loads(facts), body


def follows(*arguments, **options):
    facts, body = curl("-L", *arguments, **options)
    assert facts["http_code"] in (200, 206), (facts["http_code"], body[:300])
    return facts, body


@pytest.fixture(scope="module", name="fleet")
def fleet_of_three(tmp_path_factory):
    apps = {name: App(name) for name in "abc"}
    try:
        with Fleet(tmp_path_factory.mktemp("fleet"), {name: app.port for name, app in apps.items()}) as fleet:
            yield fleet
    finally:
        for app in apps.values():
            app.kill()


@pytest.fixture(scope="module", name="media")
def file_server():
    with Media() as media:
        yield media


def test_get_reaches_every_application(fleet):
    names = Counter(json.loads(follows(fleet.url("/info"))[1])["name"] for _ in range(6))
    assert set(names) == {"a", "b", "c"}
    facts, _ = follows(fleet.url("/info"))
    assert facts["num_redirects"] == 1


def test_a_guard_sends_who_has_no_token_to_the_gateway_and_the_gateway_to_a_guard(fleet):
    for name in "abc":
        facts, body = follows(fleet.url("/echo/%7Ex?a=b%20c&d", guard=name))
        assert facts["num_redirects"] == 2
        seen = json.loads(body)
        assert (seen["path"], seen["query"]) == ("/echo/~x", "a=b%20c&d"), "the application sees neither token nor hops"


def test_head_is_head_to_the_end(fleet):
    facts, head = follows("-I", fleet.url("/bytes/5m"))
    assert facts["method"] == "HEAD" and facts["num_redirects"] == 1
    assert re.search(rb"HTTP/1\.1 200 .*Content-Length: 5242880\r\n", head, re.DOTALL)


@pytest.mark.parametrize("size", [3, 100_000, 5_000_000])
def test_a_post_keeps_method_and_body(fleet, tmp_path, size):
    data = hashlib.shake_256(b"body").digest(size)
    (tmp_path / "body").write_bytes(data)
    facts, body = follows("--data-binary", f"@{tmp_path}/body", fleet.url("/upload"))
    assert facts["method"] == "POST" and facts["num_redirects"] == 1
    assert json.loads(body) == {"bytes": size, "sha256": hashlib.sha256(data).hexdigest()}


def test_a_form_with_files_and_a_put_are_kept(fleet, tmp_path):
    (tmp_path / "file").write_bytes(b"y" * 1000)
    seen = json.loads(follows("-F", f"a=@{tmp_path}/file", "-F", "b=1", fleet.url("/echo"))[1])
    assert seen["method"] == "POST" and "y" * 1000 in seen["body"] and 'name="b"' in seen["body"]
    seen = json.loads(follows("-T", tmp_path / "file", fleet.url("/echo/put"))[1])
    assert (seen["method"], seen["body_bytes"]) == ("PUT", 1000)


def test_a_large_download_bypasses_the_gateway(fleet, tmp_path):
    before = fleet.gateway.page("metrics")["bytes"]["responses"]
    facts, _ = follows("-o", tmp_path / "got", fleet.url("/bytes/64m"))
    assert facts["size_download"] == 64 << 20 and (tmp_path / "got").stat().st_size == 64 << 20
    assert fleet.gateway.page("metrics")["bytes"]["responses"] - before < 10_000


def test_a_url_with_its_token_is_good_for_one_client_once(fleet):
    facts, _ = curl(fleet.url("/info"))
    assert facts["http_code"] == 307
    sent = facts["redirect_url"]
    assert curl("--interface", "127.0.0.2", sent)[0]["http_code"] == 403, "another client"
    assert curl("-X", "POST", sent)[0]["http_code"] == 403, "another method"
    assert curl(sent)[0]["http_code"] == 200
    facts, body = curl(sent)
    assert facts["http_code"] == 403 and b"used before" in body
    token = sent.partition("?")[2]
    assert follows(fleet.url(f"/info?{token}"))[0]["num_redirects"] == 1, "the gateway gives a new one"


def test_a_websocket_is_refused_with_a_reason(fleet):
    facts, body = curl("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", fleet.url("/ws"))
    assert facts["http_code"] == 400 and b"cannot follow" in body


def test_a_token_in_a_cookie_goes_to_every_port_of_the_host(tmp_path):
    with Media() as media:
        with Fleet(tmp_path, {"a": media.port}, "--token-cookie", redirect={"token_in": "cookie"}) as fleet:
            facts, body = follows("-c", "jar", "-b", "jar", fleet.url("/echo?x=1"), directory=tmp_path)
            assert facts["url_effective"] == fleet.url("/echo?x=1", guard="a")
            assert json.loads(body)["cookie"] is None
            # Without a place for cookies the client goes to and fro until the guard has enough of it.
            assert curl("-L", fleet.url("/echo"))[0]["http_code"] == 508


def test_guards_with_the_public_half_of_a_key_check_what_the_gateway_signs(tmp_path):
    made = run("token", "keygen", "--algorithm", "EdDSA", "--out", "keys", "--public", "public", directory=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "d" not in json.loads((tmp_path / "public").read_text())["keys"][0], "the guards have no private key"
    with Media() as media, Fleet(tmp_path, {"a": media.port}, keys=str(tmp_path / "keys"), guard_keys=str(tmp_path / "public")) as fleet:
        assert follows(fleet.url("/echo"))[0]["num_redirects"] == 1


# Parts of a file


def test_a_range_is_asked_of_the_application(tmp_path, media):
    with Fleet(tmp_path, {"a": media.port}) as fleet:
        facts, body = follows("-r", "1000-1999", fleet.url("/file"))
        assert (facts["http_code"], facts["num_redirects"], body) == (206, 1, FILE[1000:2000])
        (tmp_path / "got").write_bytes(FILE[:777_777])
        facts, _ = follows("-C", "-", "-o", tmp_path / "got", fleet.url("/file"))
        assert facts["http_code"] == 206 and facts["size_download"] == len(FILE) - 777_777
        assert (tmp_path / "got").read_bytes() == FILE


def test_a_download_that_broke_off_is_resumed_through_the_gateway(tmp_path):
    with Media() as media, Fleet(tmp_path, {"a": media.port}) as fleet:
        media.break_off_after(500_000)
        with pytest.raises(AssertionError, match="18"):  # a part of the file
            follows("-o", tmp_path / "got", fleet.url("/file"))
        part = (tmp_path / "got").stat().st_size
        assert 0 < part < len(FILE)
        facts, _ = follows("-C", "-", "-o", tmp_path / "got", fleet.url("/file"))
        assert facts["num_redirects"] == 1 and facts["size_download"] == len(FILE) - part
        assert (tmp_path / "got").read_bytes() == FILE


def test_a_reusable_token_is_good_for_all_parts_of_a_file(tmp_path, media):
    with Fleet(tmp_path, {"a": media.port}, "--reusable") as fleet:
        sent = curl("-r", "0-0", fleet.url("/file"))[0]["redirect_url"]
        got = b""
        for first in range(0, len(FILE), 250_000):
            facts, body = curl("-r", f"{first}-{first + 249_999}", sent)
            assert facts["http_code"] == 206
            got += body
        assert got == FILE


# Auto


def test_auto_sends_away_what_is_large_and_carries_the_rest():
    app = App("a")
    config = configuration(f"127.0.0.1:{app.port}")
    config["routes"] = [{"pool": "app", "mode": "auto", "redirect": {"auto": {"methods": ["GET"], "body_bytes_min": "1KiB"}}}]
    try:
        with Proxy(config) as gateway:
            url = f"http://127.0.0.1:{gateway.port}"
            assert follows(f"{url}/info")[0]["num_redirects"] == 1
            assert follows("-H", "X-Steelyard-No-Redirect: 1", f"{url}/info")[0]["num_redirects"] == 0
            assert follows("-d", "x" * 100, f"{url}/upload")[0]["num_redirects"] == 0
            assert follows("-d", "x" * 2000, f"{url}/upload")[0]["num_redirects"] == 1
            # Its length is not known beforehand.
            assert follows("-H", "Transfer-Encoding: chunked", "-d", "x" * 2000, f"{url}/upload")[0]["num_redirects"] == 0
    finally:
        app.kill()


def test_beside_guards_what_cannot_be_redirected_has_a_route_of_its_own(tmp_path):
    app = App("a")
    try:
        fleet = Fleet(tmp_path, {"a": app.port}, routes=[{"match": {"headers": {"X-Carry": ""}}, "pool": "direct"}])
        fleet.config["pools"]["direct"] = {"servers": [f"127.0.0.1:{app.port}"]}
        with fleet:
            assert follows(fleet.url("/info"))[0]["num_redirects"] == 1
            facts, body = follows("-H", "X-Carry: 1", "-d", "x", fleet.url("/upload"))
            assert facts["num_redirects"] == 0 and json.loads(body)["bytes"] == 1
    finally:
        app.kill()
