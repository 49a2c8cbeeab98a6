"""The proxies that take part and how each is set up: one function for each writes its configuration for a Setup and returns
the command that runs it in the foreground. Peers get the settings that serve them best in the row at hand; none logs."""

import dataclasses
import pathlib

NGINX = "/usr/sbin/nginx"
HAPROXY = "/usr/sbin/haproxy"
CONNECTIONS_MAX = 19000
HAPROXY_CONNECTIONS_MAX = 9500  # it wants two descriptors for each, and the limit on open files is commonly 20,000


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a row asks of a proxy, whichever it is."""

    port: int
    servers: tuple[str, ...]
    workers: int = 1
    routes: int = 0  # 0: everything goes to the pool; else host h<i>.test with path /p<i>/ each
    algorithm: str = "round_robin"  # or least_connections
    variant: str = ""  # a setting for large bodies, or spin

    @property
    def server_port(self) -> int:
        return int(self.servers[0].rsplit(":", 1)[1])


@dataclasses.dataclass(frozen=True)
class Programs:
    """Where our own executables are."""

    steelyard: pathlib.Path
    relay: pathlib.Path
    load: pathlib.Path


def command(contender: str, setup: Setup, programs: Programs, directory: pathlib.Path) -> list[str]:
    """Writes what the contender needs into the directory and says how to start it."""
    family = contender.partition("/")[0]
    write = {"steelyard": steelyard, "nginx": nginx, "haproxy": haproxy, "relay": relay}[family]
    return [str(word) for word in write(setup, programs, directory)]


def steelyard(setup: Setup, programs: Programs, directory: pathlib.Path) -> list:
    servers = ", ".join(f'"{server}"' for server in setup.servers)
    lines = [
        f"workers: {setup.workers}",
        'log: {access: "off"}',
        f"connections: {{max: {CONNECTIONS_MAX}}}",
        "timeouts: {idle: 1h}",
    ]
    if setup.variant == "spin":
        lines.append("spin: 20us")
    lines += [
        f'listeners: [{{bind: "127.0.0.1:{setup.port}"}}]',
        f"pools: {{be: {{algorithm: {setup.algorithm}, servers: [{servers}]}}}}",
        "routes:",
    ]
    lines += [f"  - {{match: {{host: h{i}.test, path: /p{i}/*}}, pool: be}}" for i in range(setup.routes)] or ["  - {pool: be}"]
    path = directory / "steelyard.yaml"
    path.write_text("\n".join(lines) + "\n")
    return [programs.steelyard, "serve", "--config", path]


# What a response buffer may take: first buffer, all buffers, those that may be busy with sending.
NGINX_BUFFERS = {
    "": ("8k", "16 64k", "128k"),
    "16k": ("16k", "8 32k", "64k"),
    "64k": ("64k", "16 64k", "512k"),
    "256k": ("256k", "2 256k", "256k"),
}


def nginx(setup: Setup, programs: Programs, directory: pathlib.Path) -> list:
    first, all_of_them, busy = NGINX_BUFFERS[setup.variant]
    shared = setup.workers > 1 or len(setup.servers) > 1
    servers = "\n    ".join(f"server {server} max_fails=0;" for server in setup.servers)
    listen = f"listen 127.0.0.1:{setup.port}"
    forward = "proxy_pass http://be;"
    if setup.routes:
        hosts = f"server {{ {listen} default_server reuseport backlog=16384; return 404; }}\n  " + "\n  ".join(
            f"server {{ {listen}; server_name h{i}.test; location /p{i}/ {{ {forward} }} location / {{ return 404; }} }}"
            for i in range(setup.routes)
        )
    else:
        hosts = f"server {{ {listen} reuseport backlog=16384; location / {{ {forward} }} }}"
    temporary = "\n  ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = directory / "nginx.conf"
    path.write_text(f"""worker_processes {setup.workers};
{"worker_cpu_affinity auto;" if setup.workers > 1 else ""}
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log crit;
worker_rlimit_nofile 20000;
events {{ use epoll; worker_connections {CONNECTIONS_MAX}; multi_accept on; accept_mutex off; }}
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 3600;
  keepalive_requests 1000000000;
  reset_timedout_connection on;
  {temporary}
  server_names_hash_max_size 65536;
  server_names_hash_bucket_size 128;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_next_upstream off;
  proxy_max_temp_file_size 0;
  proxy_buffer_size {first};
  proxy_buffers {all_of_them};
  proxy_busy_buffers_size {busy};
  upstream be {{
    {"zone be 4m;" if shared else ""}
    {"least_conn;" if setup.algorithm == "least_connections" else ""}
    {servers}
    keepalive {max(1024, len(setup.servers))};
    keepalive_requests 1000000000;
    keepalive_timeout 3600;
  }}
  {hosts}
}}
""")
    return [NGINX, "-p", directory, "-e", directory / "nginx.log", "-c", path]


# For large bodies: lines of the global section and of the defaults.
HAPROXY_BODIES = {
    "": ("", ""),
    "splice": ("tune.pipesize 1048576\n  maxpipes 100", "option splice-auto"),
    "64k": ("tune.bufsize 65536", ""),
    "256k": ("tune.bufsize 262144", ""),
}


def haproxy(setup: Setup, programs: Programs, directory: pathlib.Path) -> list:
    of_global, of_defaults = HAPROXY_BODIES[setup.variant]
    servers = "\n".join(f"  server s{i} {server} pool-max-conn -1 pool-purge-delay 3600s" for i, server in enumerate(setup.servers))
    if setup.routes:
        # A map is one look-up in a tree; access lists would be tried one after the other.
        routes = directory / "haproxy.map"
        routes.write_text("".join(f"h{i}.test/p{i}/ be\n" for i in range(setup.routes)))
        choice = f"use_backend %[base,map_beg({routes})] if {{ base,map_beg({routes}) -m found }}"
    else:
        choice = "default_backend be"
    path = directory / "haproxy.cfg"
    path.write_text(f"""global
  nbthread {setup.workers}
  maxconn {HAPROXY_CONNECTIONS_MAX}
  {"cpu-map auto:1/1-2 0-1" if setup.workers > 1 else ""}
  tune.pool-low-fd-ratio 80
  tune.pool-high-fd-ratio 90
  tune.runqueue-depth 200
  {of_global}
defaults
  mode http
  timeout client 3600s
  timeout server 3600s
  timeout connect 5s
  timeout http-keep-alive 3600s
  option http-keep-alive
  http-reuse always
  retries 0
  {of_defaults}
frontend fe
  bind 127.0.0.1:{setup.port} backlog 16384
  maxconn {HAPROXY_CONNECTIONS_MAX - 100}
  {choice}
backend be
  balance {"leastconn" if setup.algorithm == "least_connections" else "roundrobin"}
{servers}
""")
    return [HAPROXY, "-db", "-q", "-f", path]


RELAY_OPTIONS = {
    "": [],
    "copy 64k": ["--buffer", "65536"],
    "copy 256k": ["--buffer", "262144"],
    "splice": ["--mode", "splice"],
    "spin": ["--spin-us", "20"],
}


def relay(setup: Setup, programs: Programs, directory: pathlib.Path) -> list:
    return [programs.relay, "--port", setup.port, "--server-port", setup.server_port, "--hide-close", *RELAY_OPTIONS[setup.variant]]
