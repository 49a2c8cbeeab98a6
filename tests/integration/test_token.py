"""steelyard token: keys, tokens and what is said of wrong ones. Tokens are held against those of another implementation: Python's own
HMAC, and for Ed25519 the library `cryptography` where it is installed."""

import base64
import hashlib
import hmac
import json
import re
import shlex
import stat
from pathlib import Path

import pytest

from harness import REPOSITORY, run

CORPUS = json.loads((REPOSITORY / "tests/corpus/tokens.json").read_text())
REQUEST = ["--server", "app-1", "--target", "/files/a.bin?part=2"]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value):
    return encode(json.dumps(value, separators=(",", ":")).encode())


def claims_of(case):
    claims = {"aud": case["server"], "cdniuc": "hash:" + encode(hashlib.sha256(case["target"].encode()).digest()), "mth": case["method"],
              **({"net": case["client"]} if case["client"] else {}), "iat": case["issued_s"], "exp": case["expires_s"],
              "jti": encode(bytes.fromhex(case["id"]))}
    return {**claims, **({"hop": case["hops"]} if case["hops"] else {}), **({"prx": True} if case["carried"] else {})}


def sign(key, text):
    if key["kty"] == "oct":
        return hmac.new(decode(key["k"]), text.encode(), hashlib.sha256).digest()
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    return ed25519.Ed25519PrivateKey.from_private_bytes(decode(key["d"])).sign(text.encode())


def make(key, claims, **header):
    algorithm = "HS256" if key["kty"] == "oct" else "EdDSA"
    text = compact({"alg": algorithm, "kid": key["kid"], "typ": "JWT", **header}) + "." + compact(claims)
    return text + "." + encode(sign(key, text))


def key_of(kid):
    return next(key for key in CORPUS["keys"]["keys"] if key["kid"] == kid)


def write_keys(path, *keys):
    path.write_text(json.dumps({"keys": keys}))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def keys(tmp_path):
    return write_keys(tmp_path / "keys.json", key_of("2026-11"))


def mint(keys, *more):
    done = run("token", "mint", "--keys", keys, *REQUEST, *more)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.strip()


def verify(keys, token, *more, request=REQUEST):
    return run("token", "verify", "--keys", keys, *request, *more, token)


@pytest.mark.parametrize("case", CORPUS["cases"], ids=lambda case: case["name"])
def test_the_corpus_is_what_another_implementation_makes(case):
    assert make(key_of(case["kid"]), claims_of(case)) == case["token"]


@pytest.mark.parametrize("case", [case for case in CORPUS["cases"] if case["server"].isascii()], ids=lambda case: case["name"])
def test_mint_makes_the_same(tmp_path, case):
    keys = write_keys(tmp_path / "keys.json", key_of(case["kid"]))
    client = ["--client", case["client"]] if case["client"] else []
    done = run("token", "mint", "--keys", keys, "--server", case["server"], "--method", case["method"], "--target", case["target"],
               "--now", str(case["issued_s"]), "--lifetime", f"{case['expires_s'] - case['issued_s']}s", "--hops", str(case["hops"]),
               "--id", encode(bytes.fromhex(case["id"])), *client, *(["--carried"] if case["carried"] else []))
    assert (done.stdout.strip(), done.stderr) == (case["token"], "")


def test_keygen_writes_a_secret_that_only_the_owner_reads(tmp_path):
    done = run("token", "keygen", "--kid", "2026-11", "--out", "keys.json", directory=tmp_path)
    assert done.returncode == 0 and "2026-11 (HS256)" in done.stdout and not done.stderr
    path = tmp_path / "keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [key] = json.loads(path.read_text())["keys"]
    assert (key["kty"], key["kid"], key["alg"], len(decode(key["k"]))) == ("oct", "2026-11", "HS256", 32)
    assert verify(str(path), mint(str(path))).returncode == 0
    again = run("token", "keygen", "--out", "keys.json", directory=tmp_path)
    assert again.returncode == 2 and "there already" in again.stderr
    assert json.loads(path.read_text())["keys"] == [key]


def test_keygen_makes_another_key_each_time():
    first, second = (json.loads(run("token", "keygen").stdout)["keys"][0] for _ in range(2))
    assert first["k"] != second["k"] and first["kid"] != second["kid"]


def test_keygen_writes_a_pair_whose_public_half_verifies_and_does_not_sign(tmp_path):
    done = run("token", "keygen", "--algorithm", "EdDSA", "--out", "keys.json", "--public", "guard.json", directory=tmp_path)
    assert done.returncode == 0
    [key] = json.loads((tmp_path / "keys.json").read_text())["keys"]
    [half] = json.loads((tmp_path / "guard.json").read_text())["keys"]
    assert half == {name: value for name, value in key.items() if name != "d"} and "d" in key
    guard = str(tmp_path / "guard.json")
    done = verify(guard, mint(str(tmp_path / "keys.json")))
    assert done.returncode == 0 and not done.stderr, "others may read what is not secret"
    done = run("token", "mint", "--keys", guard, *REQUEST)
    assert done.returncode == 2 and "public halves only" in done.stderr
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    public = ed25519.Ed25519PrivateKey.from_private_bytes(decode(key["d"])).public_key()
    assert decode(key["x"]) == public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def test_a_pair_of_which_a_half_cannot_be_written_leaves_no_other_half(tmp_path):
    done = run("token", "keygen", "--algorithm", "EdDSA", "--out", "keys.json", "--public", "none/public.json", directory=tmp_path)
    assert done.returncode == 2 and "none/public.json" in done.stderr and not done.stdout
    assert not list(tmp_path.iterdir())


def test_there_is_no_public_half_of_a_secret(tmp_path):
    done = run("token", "keygen", "--public", "guard.json", directory=tmp_path)
    assert done.returncode == 2 and "--algorithm EdDSA" in done.stderr and not done.stdout
    assert not list(tmp_path.iterdir())


def test_tokens_differ_by_their_ids(keys):
    claims = [json.loads(decode(mint(keys).split(".")[1])) for _ in range(2)]
    assert claims[0]["jti"] != claims[1]["jti"] and len(decode(claims[0]["jti"])) == 16


def test_verify_says_what_is_valid(keys):
    token = mint(keys, "--client", "192.0.2.7", "--now", "1000")
    done = verify(keys, token, "--client", "192.0.2.7", "--now", "1010")
    assert (done.returncode, done.stdout) == (
        0, "valid: GET /files/a.bin?part=2 at app-1 for 192.0.2.7/32, 20 s before it expires\n")
    page = json.loads(verify(keys, token, "--client", "192.0.2.7", "--now", "1010", "--json").stdout)
    assert page["valid"] is True and page["claims"] == json.loads(decode(token.split(".")[1]))


@pytest.mark.parametrize("reason, changed", [
    ("wrong_server", ["--server", "app-2"]),
    ("wrong_method", ["--method", "POST"]),
    ("wrong_target", ["--target", "/files/b.bin?part=2"]),
    ("wrong_target", ["--target", "/files/a.bin?part=3"]),
    ("wrong_target", ["--target", "/files/a%2ebin?part=2"]),
    ("wrong_client", ["--client", "192.0.2.8"]),
    ("expired", ["--now", "1035"]),
    ("not_yet_valid", ["--now", "994"]),
])
def test_verify_says_why_a_token_is_denied(keys, reason, changed):
    token = mint(keys, "--client", "192.0.2.0/29", "--now", "1000")
    request = {"--server": "app-1", "--target": "/files/a.bin?part=2", "--client": "192.0.2.7", "--now": "1034"}
    fitting = [part for option in request.items() for part in option]
    assert verify(keys, token, request=fitting).returncode == 0
    request |= {changed[0]: changed[1]}
    altered = [part for option in request.items() for part in option]
    if reason == "wrong_client":
        assert "192.0.2.8" in altered
        token = mint(keys, "--client", "192.0.2.7", "--now", "1000")
    done = verify(keys, token, request=altered)
    assert done.returncode == 1 and f"({reason})" in done.stdout
    page = verify(keys, token, "--json", request=altered)
    assert page.returncode == 1 and json.loads(page.stdout)["reason"] == reason


def test_a_client_that_is_not_named_is_asked_for(keys):
    done = verify(keys, mint(keys, "--client", "192.0.2.7"))
    assert done.returncode == 1 and "give --client" in done.stdout


def test_tokens_of_another_implementation_are_judged_alike(keys):
    case, key = CORPUS["cases"][0], key_of("2026-11")
    more = ["--client", "192.0.2.7", "--now", str(case["issued_s"])]
    claims = claims_of(case)
    assert verify(keys, make(key, claims), *more).returncode == 0
    for token, reason in [(make(key, claims, alg="none"), "wrong_algorithm"), (make(key, claims, crit=["b64"]), "unsupported"),
                          (make(key, claims, kid="other"), "unknown_key"), (make({**key, "k": encode(bytes(32))}, claims), "bad_signature"),
                          (make(key, {**claims, "nbf": 0}), "unsupported"), (make(key, {**claims, "exp": 1.5}), "malformed"),
                          (make(key, claims) + "=", "malformed")]:
        done = verify(keys, token, *more)
        assert done.returncode == 1 and f"({reason})" in done.stdout, done.stdout


def test_the_bytes_of_a_public_key_are_no_secret(tmp_path):
    pair = key_of("b")
    guard = write_keys(tmp_path / "guard.json", {name: value for name, value in pair.items() if name != "d"})
    case = CORPUS["cases"][1]
    more = ["--client", "192.0.2.7", "--now", str(case["issued_s"])]
    assert verify(guard, case["token"], *more).returncode == 0
    confused = make({"kty": "oct", "kid": "b", "k": pair["x"]}, claims_of(case))
    done = verify(guard, confused, *more)
    assert done.returncode == 1 and "(wrong_algorithm)" in done.stdout


def test_the_old_key_is_known_while_the_new_one_signs(tmp_path, keys):
    before = mint(keys)
    both = write_keys(tmp_path / "both.json", key_of("b"), key_of("2026-11"))
    after = mint(both)
    assert verify(both, before).returncode == 0 and verify(both, after).returncode == 0
    assert "(unknown_key)" in verify(keys, after).stdout


def test_the_token_is_taken_out_of_the_target(keys):
    token = mint(keys)
    check = ["token", "verify", "--keys", keys, "--server", "app-1", "--target"]
    assert run(*check, f"/files/a.bin?part=2&steelyard_token={token}").returncode == 0
    assert run(*check, f"/files/a.bin?steelyard_token={token}&part=2").returncode == 0
    done = run(*check, f"/files/a.bin?part=2&steelyard_token={token}&steelyard_token={token}")
    assert done.returncode == 1 and "(repeated)" in done.stdout
    done = run(*check, "/files/a.bin?part=2")
    assert done.returncode == 2 and "steelyard_token" in done.stderr


def test_inspect_shows_a_token_and_says_that_it_is_not_verified(keys):
    token = mint(keys, "--now", "1795000000")
    forged = token[:-4] + "AAAA"
    done = run("token", "inspect", forged)
    assert done.returncode == 0 and done.stdout.startswith("not verified")
    assert "2026-11-18T11:06:40Z" in done.stdout and '"aud": "app-1"' in done.stdout
    page = json.loads(run("token", "inspect", "--json", forged).stdout)
    assert page["verified"] is False and page["header"]["kid"] == "2026-11" and page["claims"]["iat"] == 1795000000
    assert run("token", "inspect", "no-token").returncode == 2


def test_inspect_gives_a_terminal_no_orders(keys):
    for claims in ({"aud": "\x1b[2J\u009b2J\x7f"}, "\x1b[2J\u009b2J\x7f"):
        text = claims if isinstance(claims, str) else json.dumps(claims, ensure_ascii=False)
        token = ".".join(encode(part.encode()) for part in ('{"alg":"none"}', text, ""))
        for more in ([], ["--json"]):
            done = run("token", "inspect", token, *more)
            assert done.returncode == 0 and not re.search("[^\n -~]", done.stdout)


@pytest.mark.parametrize("arguments, told", [
    (["--target", "http://app-1/files"], "path and query only"),
    (["--target", "files"], 'begin with "/"'),
    (["--target", "/a b"], "percent-encoded"),
    (["--target", "/a#b"], "never sent"),
    (["--target", "/a?steelyard_token=x"], "steelyard_token already"),
    (["--target", "/a?b&steelyard%5ftoken=x"], "steelyard_token already"),
    (["--method", "get"], "capitals"),
    (["--method", "G T"], "not a method"),
    (["--server", ""], "server's id"),
    (["--client", "192.0.2.7/24"], "192.0.2.0/24"),
    (["--client", "app.example"], "address"),
    (["--lifetime", "30"], "--lifetime"),
    (["--lifetime", "500ms"], "whole seconds"),
    (["--lifetime", "0s"], "expired at once"),
    (["--id", "AAAA"], "16 random bytes"),
    (["--now", "-1"], "--now"),
])
def test_mint_says_which_option_is_wrong(keys, arguments, told):
    options = dict([REQUEST[0:2], REQUEST[2:4], arguments])
    done = run("token", "mint", "--keys", keys, *[part for option in options.items() for part in option])
    assert done.returncode == 2 and told in done.stderr and not done.stdout


def test_mint_knows_tokens_of_another_name(keys):
    other = ["--target", "/a?steelyard_token=x", "--parameter", "pass"]
    assert run("token", "mint", "--keys", keys, "--server", "app-1", *other).returncode == 0


@pytest.mark.parametrize("text, told", [
    ("-----BEGIN PRIVATE KEY-----\n", "PEM"),
    (json.dumps(CORPUS["keys"]["keys"][0]), "single key"),
    ('{"keys": []}', "empty"),
    ('{"keys": [{"kty": "oct", "kid": "a", "k": "c2hvcnQ"}]}', "32"),
    ("secret", "not a JSON object"),
])
def test_a_wrong_key_file_is_named_with_what_is_wrong(tmp_path, text, told):
    path = tmp_path / "keys.json"
    path.write_text(text)
    done = run("token", "mint", "--keys", str(path), *REQUEST)
    assert done.returncode == 2 and str(path) in done.stderr and told in done.stderr


def test_a_missing_key_file_is_named(tmp_path):
    done = run("token", "mint", "--keys", str(tmp_path / "none.json"), *REQUEST)
    assert done.returncode == 2 and "none.json: No such file" in done.stderr


def test_a_secret_that_others_may_read_is_warned_of(keys):
    Path(keys).chmod(0o644)
    done = run("token", "mint", "--keys", keys, *REQUEST)
    assert done.returncode == 0 and "chmod 600" in done.stderr


@pytest.mark.parametrize("command", ["keygen", "mint", "verify", "inspect"])
def test_every_command_has_help_with_an_example(command):
    done = run("token", command, "--help")
    assert done.returncode == 0 and f"steelyard token {command}" in done.stdout and "xample" in done.stdout


def test_the_page_about_tokens_shows_a_real_one(tmp_path):
    page = (REPOSITORY / "docs/token.md").read_text()
    blocks = re.findall(r"```(\w*)\n(.*?)```", page, re.S)
    [keys] = [text for kind, text in blocks if kind == "json" and '"keys"' in text]
    (tmp_path / "keys.json").write_text(keys)
    (tmp_path / "keys.json").chmod(0o600)
    [shell] = [text for kind, text in blocks if text.startswith("$ steelyard token mint")]
    shell = shell.replace("\\\n", "")
    steps = re.findall(r"^\$ steelyard (.*)\n((?:[^$].*\n)+)", shell, re.M)
    assert len(steps) == 2
    for command, shown in steps:
        done = run(*shlex.split(command), directory=tmp_path)
        assert done.returncode == 0 and done.stdout == shown
    header, claims = ([text for kind, text in blocks if kind == "json" and name in text][0] for name in ('"typ"', '"aud"'))
    token = steps[0][1].strip()
    assert [json.loads(decode(part)) for part in token.split(".")[:2]] == [json.loads(header), json.loads(claims)]
    assert token == make(json.loads(keys)["keys"][0], json.loads(claims))
