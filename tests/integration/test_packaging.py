"""What is shipped beside the binary fits it: the Compose file, the configurations that it mounts, the image's recipe, the unit."""

import re
import subprocess

import jsonschema
import pytest
import yaml

from harness import DEADLINE_SECONDS, REPOSITORY, run
from messages import reply
from server import Server

PACKAGING = REPOSITORY / "packaging"
STRINGS = {"type": "array", "items": {"type": "string"}}
# The fields of the Compose specification that the file uses, and none besides.
SERVICE = {
    "type": "object", "additionalProperties": False, "required": ["image", "command", "networks"],
    "properties": {
        "image": {"type": "string"}, "command": STRINGS, "ports": STRINGS, "volumes": STRINGS, "profiles": STRINGS,
        "cap_drop": STRINGS, "security_opt": STRINGS, "init": {"type": "boolean"}, "read_only": {"type": "boolean"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": {"type": "string", "pattern": "^[0-9]+s$"},
        "ulimits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "build": {"type": "object", "additionalProperties": False, "required": ["context", "dockerfile"],
                  "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}}},
        "healthcheck": {"type": "object", "additionalProperties": False, "required": ["test"],
                        "properties": {"test": STRINGS, "interval": {"type": "string"}, "timeout": {"type": "string"},
                                       "retries": {"type": "integer"}}},
        "networks": {"type": "object", "additionalProperties": {
            "type": "object", "additionalProperties": False, "properties": {"ipv4_address": {"type": "string", "format": "ipv4"}}}},
    },
}
COMPOSE = {
    "type": "object", "required": ["services"],
    "properties": {"name": {"type": "string"}, "networks": {"type": "object"},
                   "services": {"type": "object", "additionalProperties": SERVICE}},
    "patternProperties": {"^x-": {}}, "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((PACKAGING / "compose.yaml").read_text())


def backends(compose, profile=None):
    services = compose["services"].items()
    return {name for name, service in services if name.startswith("backend") and (profile or "profiles" not in service)}


def test_the_compose_file_has_the_shape_of_one(compose):
    jsonschema.validate(compose, COMPOSE, jsonschema.Draft202012Validator)


def test_there_are_three_backends_and_with_the_profile_five(compose):
    assert backends(compose) == {"backend1", "backend2", "backend3"}
    assert len(backends(compose, "scaling")) == 5
    assert all(service.get("profiles", ["scaling"]) == ["scaling"] for service in compose["services"].values())


def test_only_the_balancer_is_published(compose):
    assert {name: service["ports"] for name, service in compose["services"].items() if "ports" in service} == {"balancer": ["8080:8080"]}


def test_what_it_mounts_is_there_and_valid(compose):
    mounted = [volume.split(":") for service in compose["services"].values() for volume in service.get("volumes", [])]
    assert mounted
    for source, target, mode in mounted:
        assert mode == "ro" and target in compose["services"]["balancer"]["command"]
        checked = run("check", str(PACKAGING / source))
        assert checked.returncode == 0, checked.stderr
        assert "warning" not in checked.stderr


def test_the_balancer_is_told_of_every_backend_and_of_no_other(compose):
    config = yaml.safe_load((PACKAGING / "config/steelyard.yaml").read_text())
    told = {server["id"]: server["address"] for server in config["pools"]["demo"]["servers"]}
    there = {}
    for name in backends(compose, "scaling"):
        command = compose["services"][name]["command"]
        assert command[0] == "backend" and command[command.index("--name") + 1] == name
        there[name] = f"{compose['services'][name]['networks']['demo']['ipv4_address']}:{command[command.index('--port') + 1]}"
    assert told == there
    assert config["listeners"][0]["bind"].endswith(":8080") and config["listeners"][0]["status_pages"]


def test_addresses_lie_in_the_network_and_are_given_once(compose):
    subnet = compose["networks"]["demo"]["ipam"]["config"][0]["subnet"]
    prefix = subnet.removesuffix("0/24")
    addresses = [service["networks"]["demo"]["ipv4_address"] for service in compose["services"].values()]
    assert len(set(addresses)) == len(addresses) and all(address.startswith(prefix) for address in addresses)


def test_a_container_is_given_longer_to_stop_than_a_drain_takes(compose):
    expanded = yaml.safe_load(run("config", "expand", str(PACKAGING / "config/steelyard.yaml")).stdout)
    drain = int(expanded["timeouts"]["drain"].removesuffix("s"))
    assert int(compose["services"]["balancer"]["stop_grace_period"].removesuffix("s")) > drain
    unit = (PACKAGING / "steelyard.service").read_text()
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > drain


def test_the_image_copies_what_is_there_and_runs_as_nobody(compose):
    recipe = (PACKAGING / "Dockerfile").read_text()
    kept = (PACKAGING / "Dockerfile.dockerignore").read_text().splitlines()
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", recipe, re.M):
        for source in sources.split():
            assert (REPOSITORY / source).exists() and f"!{source}" in kept, source
    final = recipe.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.M) and re.search(r"^EXPOSE 8080$", final, re.M)
    assert "HEALTHCHECK" in final and "/__health__" in final


def test_the_commands_of_the_services_have_these_options(compose):
    for service in compose["services"].values():
        name, *options = service["command"]
        text = run(name, "--help").stdout
        assert all(option in text for option in options if option.startswith("--")), text


def test_the_unit_and_the_image_use_commands_that_there_are():
    for text in ((PACKAGING / "steelyard.service").read_text(), (PACKAGING / "Dockerfile").read_text()):
        assert "serve" in text
    for command in re.findall(r"^Exec\w+=/usr/local/bin/steelyard (\w+)", (PACKAGING / "steelyard.service").read_text(), re.M):
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize("status, code", [(200, 0), (503, 1)])
def test_the_image_s_health_check_reads_the_status(status, code):
    async def script(connection):
        if await connection.request():
            await connection.send(reply(status, reason="x"))

    with Server(script) as server:
        port = server.address.rpartition(":")[2]
        done = subprocess.run([PACKAGING / "healthcheck", port, "/__health__"], capture_output=True, timeout=DEADLINE_SECONDS, check=False)
    assert done.returncode == code


def test_the_image_s_health_check_fails_where_nobody_listens():
    assert subprocess.run([PACKAGING / "healthcheck", "1", "/"], capture_output=True, timeout=DEADLINE_SECONDS, check=False).returncode == 1
