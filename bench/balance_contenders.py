"""The proxies of the bench of balancing, each set up as a careful operator would for a pool of servers of which any may become slow,
fail or restart: connections to servers are kept, servers that fail are taken out for a while, and what broke before its answer
began is tried at another server. One function for each writes the configuration and returns the command that runs it in the
foreground. Nobody logs."""

import dataclasses
import pathlib

from contenders import CONNECTIONS_MAX, HAPROXY, HAPROXY_CONNECTIONS_MAX, NGINX

NAMES = (
    "steelyard/adaptive",
    "steelyard/least_connections",
    "nginx/least_conn",
    "nginx/random two",
    "haproxy/leastconn",
    "haproxy/random(2)",
)
OTHERS = ("steelyard/random", "steelyard/fastest", "steelyard/round_robin", "nginx/round_robin", "haproxy/roundrobin")


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a scenario asks of a proxy, whichever it is."""

    algorithm: str  # in the words of the proxy
    port: int
    servers: tuple[str, ...]
    retries: str  # of what: nothing, broken or errors, as in balance_scenarios.py
    workers: int


def command(name: str, setup: Setup, program: pathlib.Path, directory: pathlib.Path) -> list[str]:
    """Writes what the contender needs into the directory and says how to start it. The program is steelyard's."""
    family = name.partition("/")[0]
    if family == "steelyard":
        return [str(word) for word in steelyard(setup, program, directory)]
    return [str(word) for word in {"nginx": nginx, "haproxy": haproxy}[family](setup, directory)]


# Without a word on it, broken connections are retried.
STEELYARD_RETRIES = {
    "nothing": ", retries: {tries_max: 1}",
    "broken": "",
    "errors": ", retries: {on_statuses: [500, 502, 504]}",
}


def steelyard(setup: Setup, program: pathlib.Path, directory: pathlib.Path) -> list:
    """All else is as by default: ejection of outliers, slow start, the budget of retries."""
    servers = ", ".join(f'"{server}"' for server in setup.servers)
    path = directory / "steelyard.yaml"
    path.write_text(f"""workers: {setup.workers}
log: {{access: "off"}}
connections: {{max: {CONNECTIONS_MAX}}}
listeners: [{{bind: "127.0.0.1:{setup.port}"}}]
pools: {{be: {{algorithm: {setup.algorithm}, servers: [{servers}]{STEELYARD_RETRIES[setup.retries]}}}}}
routes: [{{pool: be}}]
""")
    return [program, "serve", "--config", path]


NGINX_METHODS = {"least_conn": "least_conn;", "random two": "random two least_conn;", "round_robin": ""}
# An error or a time-out counts against a server whether or not it is retried, an answer of 500 only where it is.
NGINX_RETRIES = {"nothing": "off", "broken": "error timeout", "errors": "error timeout http_500"}


def nginx(setup: Setup, directory: pathlib.Path) -> list:
    """The zone lets workers share their counts. A server is out for fail_timeout after max_fails; both are as by default. There are
    no active checks and no slow start to be had without a subscription."""
    servers = "\n    ".join(f"server {server} max_fails=1 fail_timeout=10s;" for server in setup.servers)
    temporary = "\n  ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = directory / "nginx.conf"
    path.write_text(f"""worker_processes {setup.workers};
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log crit;
worker_rlimit_nofile 20000;
events {{ worker_connections {CONNECTIONS_MAX}; multi_accept on; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  {temporary}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_next_upstream {NGINX_RETRIES[setup.retries]};
  upstream be {{
    zone be 4m;
    {NGINX_METHODS[setup.algorithm]}
    {servers}
    keepalive {max(1024, 4 * len(setup.servers))};
    keepalive_requests 1000000000;
  }}
  server {{ listen 127.0.0.1:{setup.port} reuseport backlog=16384; location / {{ proxy_pass http://be; }} }}
}}
""")
    return [NGINX, "-p", directory, "-e", directory / "nginx.log", "-c", path]


HAPROXY_RETRIES = {
    "nothing": "retries 0\n  retry-on none",
    "broken": "retries 3\n  option redispatch 1\n  retry-on conn-failure empty-response",
    "errors": "retries 3\n  option redispatch 1\n  retry-on conn-failure empty-response 500",
}


def haproxy(setup: Setup, directory: pathlib.Path) -> list:
    """Ten errors in a row among the answers take a server down; the check, which is whether it accepts a connection, brings it back,
    with a growing share for some seconds."""
    servers = "\n".join(f"  server s{i} {server}" for i, server in enumerate(setup.servers))
    connections_max = HAPROXY_CONNECTIONS_MAX - len(setup.servers)  # each check wants a descriptor, too
    path = directory / "haproxy.cfg"
    path.write_text(f"""global
  nbthread {setup.workers}
  maxconn {connections_max}
  spread-checks 5
  tune.pool-low-fd-ratio 80
  tune.pool-high-fd-ratio 90
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
  {HAPROXY_RETRIES[setup.retries]}
  default-server check inter 2s fall 3 rise 2 observe layer7 error-limit 10 on-error mark-down slowstart 10s pool-max-conn -1
frontend fe
  bind 127.0.0.1:{setup.port} backlog 16384
  maxconn {connections_max - 100}
  default_backend be
backend be
  balance {setup.algorithm}
{servers}
""")
    return [HAPROXY, "-db", "-q", "-f", path]
