"""Redirects as a page in Chromium sees them: what fetch() follows and when, what players ask, and where a WebSocket gets through. The page
asks everything once; each test looks at what came of it."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fleet import App, Fleet, Guard, until
from harness import DEADLINE_SECONDS
from media import CORS, FILE, SOUND_SECONDS, Media

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = Path(__file__).parent / "redirect.html"
ONLY_HERE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost"

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: ./dev setup")


def gateway_options(fleet, media, echo, player):
    """One route for each way of configuring; the host says which."""
    signed = fleet.config["routes"][-1]
    cors = {"response_headers": {"set": {"Access-Control-Allow-Origin": "*"}}}
    automatic = {"mode": "auto", "redirect": {"auto": {"methods": ["GET", "POST"]}}}
    fleet.config["pools"] |= {
        "direct": {"servers": [media.address]}, "echo": {"servers": [f"127.0.0.1:{echo.port}"]},
        "player": {"servers": [{"id": "p", "address": f"127.0.0.1:{player.port}"}]}}
    fleet.config["routes"] = [
        {"match": {"path": "/page"}, "pool": "direct"},
        {"match": {"host": "cors.localhost"}, **signed, **cors},
        {"match": {"host": "preflight.localhost", "method": "OPTIONS"}, "pool": "direct"},
        {"match": {"host": "preflight.localhost"}, **signed, **cors},
        {"match": {"host": "auto.localhost"}, "pool": "direct", **automatic, **cors},
        {"match": {"host": "ws.localhost"}, "pool": "echo", **automatic},
        {"match": {"host": "player.localhost"}, **signed, "pool": "player"},
        signed]


@contextlib.contextmanager
def browsing(url, profile, media):
    """A browser with that page, which has said what it found."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--disable-background-networking", f"--host-resolver-rules={ONLY_HERE}", f"--user-data-dir={profile}", url]
    with open(profile / "browser.log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as browser:
        try:
            with media.changed:
                ended = media.changed.wait_for(lambda: media.posted is not None, 4 * DEADLINE_SECONDS)
            assert ended, "the page has not come to its end:\n" + (profile / "browser.log").read_text(errors="replace")[-3000:]
            yield
        finally:
            browser.terminate()


@pytest.fixture(scope="module", name="found")
def what_a_page_found(tmp_path_factory):
    directory = tmp_path_factory.mktemp("browser")
    with Media() as media:
        media.pages["/page"] = PAGE.read_text().replace("RESULTS", f"http://{media.address}/results")
        fleet = Fleet(directory, {"a": media.port})
        echo, player = App("echo"), Guard(media.port, fleet.keys, "--reusable", name="p")
        gateway_options(fleet, media, echo, player)
        try:
            with fleet:
                with browsing(fleet.url("/page"), directory, media):
                    until(lambda: fleet.guards["a"].page()["guard"]["denied"], "the player asks again with a token that is good once")
                denied = fleet.guards["a"].page()["guard"]["denied"]
                yield {**media.posted, "origin": fleet.url(), "requests": media.requests, "denied": denied}
        finally:
            echo.kill()
            player.kill()


def got(found, name):
    """What the application said of a request that was redirected."""
    answer = found[name]
    assert answer != "failed" and (answer["status"], answer["redirected"]) == (200, True), answer
    return json.loads(answer["body"])


def test_a_page_follows_redirects_of_its_own_gateway(found):
    assert got(found, "own GET")["origin"] == found["origin"]
    said = got(found, "own POST")
    assert (said["method"], said["body"], said["origin"]) == ("POST", "abc", found["origin"])


def test_the_server_is_another_origin_and_must_allow_the_page(found):
    assert found["own GET, server without CORS"] == "failed"
    assert found["GET, server without CORS"] == "failed"


def test_the_preflight_after_a_redirect_gets_past_the_guard_and_leaves_the_token_good(found):
    said = got(found, "own POST, preflight")
    assert (said["method"], said["body"]) == ("POST", "{}")


def test_a_part_of_a_file_is_asked_through_a_redirect(found):
    answer = found["own GET, part"]
    assert (answer["status"], answer["redirected"]) == (206, True)
    assert answer["body"] == FILE[100:200].decode("utf-8", "replace")


def test_from_another_origin_the_gateway_must_allow_the_page_as_well(found):
    assert found["GET, gateway without CORS"] == "failed"
    assert got(found, "GET")["origin"] == "null", "a page that was sent from one foreign origin to another has no name any more"
    assert got(found, "POST")["body"] == "abc"


def test_a_preflight_is_not_redirected_but_may_be_carried(found):
    assert found["POST, preflight redirected"] == "failed"
    assert got(found, "POST, preflight carried")["body"] == "{}"


def test_auto_carries_preflights_and_sends_away_what_follows(found):
    assert got(found, "auto GET")["method"] == "GET"
    assert got(found, "auto POST, preflight")["body"] == "{}"
    carried = found["auto POST, carried"]
    assert (carried["status"], carried["redirected"]) == (200, False), carried


def test_images_and_players_follow_without_cors(found):
    assert (found["image"], found["sound"]) == ("loaded", "loaded")


def test_a_player_seeks_at_the_url_that_it_was_sent_to(found):
    assert (found["seek on"], found["seek back"]) == (5000, 2500) and SOUND_SECONDS > 5000
    parts = [request.value("range") for request in found["requests"] if request.target == "/sound.wav"]
    assert len(parts) >= 3 and parts[0] == "bytes=0-", parts
    assert found["denied"] >= 1, "a token that is good once is not good for a player"


def test_a_websocket_is_carried_in_auto_and_refused_in_redirect(found):
    assert found["WebSocket, auto"] == "hello"
    assert found["WebSocket, redirect"] == "failed"


def test_the_application_answers_preflights_with_what_it_allows(found):
    asked = [request for request in found["requests"] if request.method == "OPTIONS"]
    assert len(asked) >= 4 and CORS["Access-Control-Allow-Methods"] == "*"
    assert all("steelyard_token" not in request.target for request in found["requests"])
