"""What is in the images: the only place to look at or to change for that."""

from dataclasses import dataclass, field

SUITE = "trixie"


@dataclass(frozen=True)
class Layer:
    """Files of Debian packages, plus our own files in `images/NAME`."""

    name: str
    packages: list[str]
    # fnmatch patterns of paths that are left out (`*` also matches `/`), and of
    # paths that stay although they match.
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    # User and group of paths; the others belong to root.
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Directories whose Python modules are compiled at build time.
    compiled: tuple[str, ...] = ()


@dataclass(frozen=True)
class HealthCheck:
    """What Docker's shell runs in the container; times are in seconds."""

    command: str
    interval: int
    timeout: int
    start_period: int
    retries: int


@dataclass(frozen=True)
class Image:
    """One image: layers from the bottom up, and how Docker runs them."""

    name: str
    layers: list[str]
    entrypoint: list[str]
    ports: list[int] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    # Without one, the entrypoint starts as root.
    user: str = ""
    command: list[str] = field(default_factory=list)
    # Paths that the image declares as `VOLUME`.
    volumes: list[str] = field(default_factory=list)
    working_directory: str = "/"
    stop_signal: str | None = None
    health_check: HealthCheck | None = None

    @property
    def reference(self) -> str:
        """The name that deployments use."""
        return f"flocker/{self.name}:latest"


# Left out of every layer: documentation, translations, and what only a package
# manager, a developer or a login session would look at.
DROPPED = (
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/bug/*",
    "usr/share/locale/*",
    "usr/share/bash-completion/*",
    "usr/share/applications/*",
    "usr/share/pixmaps/*",
    "usr/share/doc-base/*",
    "usr/lib/systemd/*",
    "usr/lib/*/gconv/*",
    "usr/lib/*/pkgconfig/*",
    "usr/include/*",
    "etc/init.d/*",
    "etc/cron.*",
    "etc/default/*",
    "*/tests/*",
)

# The parts of BusyBox that entrypoints, people with a shell in a container, and
# tests use.
APPLETS = (
    "sh awk base64 basename cat chmod chown cp cut date dd df dirname du echo env expr false find "
    "grep head hostname httpd id ip kill less ln ls mkdir mktemp more mount mv nc netstat od pgrep ps "
    "printenv pwd readlink rm rmdir sed seq sleep sort stat stty sync tail tar tee test timeout "
    "top touch tr true uname uniq vi wc wget which xargs"
).split()

LAYERS = {
    layer.name: layer
    for layer in (
        Layer(
            name="base",
            packages=[
                "base-files",
                "busybox-static",
                "libc-bin",
                "libc6",
                "libgcc-s1",
                "netbase",
                "zlib1g",
            ],
            dropped=(
                "etc/update-motd.d/*",
                "usr/bin/*",
                "usr/sbin/*",
                "usr/share/base-files/*",
                "usr/share/common-licenses/*",
            ),
            kept=("usr/bin/busybox", "usr/bin/getent", "usr/bin/locale"),
            links={f"usr/bin/{applet}": "busybox" for applet in APPLETS},
            directories={"tmp": 0o1777, "dev": 0o755, "proc": 0o755, "sys": 0o755},
        ),
        Layer(
            name="python",
            packages=[
                "libbz2-1.0",
                "libcrypt1",
                "libexpat1",
                "libffi8",
                "liblzma5",
                "libpython3.13-minimal",
                "libpython3.13-stdlib",
                # Trac imports it, whatever its database is.
                "libsqlite3-0",
                "libssl3t64",
                "libuuid1",
                "libzstd1",
                "python3-minimal",
                "python3.13-minimal",
            ],
            dropped=(
                "etc/python3*",
                "usr/lib/*/engines-3/*",
                "usr/lib/*/ossl-modules/*",
                "usr/lib/python3.13/_pyrepl/*",
                "usr/lib/python3.13/ensurepip/*",
                "usr/lib/python3.13/lib-dynload/_codecs_*",
                "usr/lib/python3.13/lib-dynload/_curses*",
                "usr/lib/python3.13/lib-dynload/_dbm*",
                "usr/lib/python3.13/lib-dynload/_test*",
                "usr/lib/python3.13/lib-dynload/readline*",
                "usr/lib/python3.13/pydoc_data/*",
                "usr/lib/python3.13/turtle*",
                "usr/share/python3/*",
                "usr/share/binfmts/*",
                "usr/lib/binfmt.d/*",
                "usr/bin/py3*",
            ),
            compiled=("usr/lib/python3.13",),
        ),
        Layer(
            name="postgresql",
            packages=[
                "libcap2",
                "libcom-err2",
                "libcrypt1",
                "libedit2",
                "libaudit1",
                "libbsd0",
                "libcap-ng0",
                "libgssapi-krb5-2",
                "libicu76",
                "libk5crypto3",
                "libkeyutils1",
                "libkrb5-3",
                "libkrb5support0",
                "libldap2",
                "liblz4-1",
                "liblzma5",
                "libmd0",
                "libpam0g",
                "libpcre2-8-0",
                "libpq5",
                "libreadline8t64",
                "libsasl2-2",
                "libselinux1",
                "libssl3t64",
                "libstdc++6",
                "libsystemd0",
                "libtinfo6",
                "libuuid1",
                "libxml2",
                "libxxhash0",
                "libzstd1",
                "postgresql-17",
                "postgresql-client-17",
                "tzdata",
            ],
            dropped=(
                "usr/bin/*",
                "usr/lib/*/engines-3/*",
                "usr/lib/*/ossl-modules/*",
                "usr/lib/*/libicuio*",
                "usr/lib/*/libicutest*",
                "usr/lib/*/libicutu*",
                "usr/lib/*/sasl2/*",
                "usr/lib/*/libpcre2-posix*",
                # Just-in-time compilation needs LLVM, larger than everything else.
                "usr/lib/postgresql/17/lib/bitcode/*",
                "usr/lib/postgresql/17/lib/llvmjit*",
                "usr/lib/postgresql/17/lib/pgxs/*",
                "usr/lib/postgresql/17/lib/pgxml.so",
                "usr/lib/postgresql/17/lib/*_and_*",
                "usr/lib/postgresql/17/bin/pg_combinebackup",
                "usr/lib/postgresql/17/bin/pg_amcheck",
                "usr/lib/postgresql/17/bin/pg_walsummary",
                "usr/share/postgresql/17/man/*",
                "usr/share/postgresql-common/*",
                "usr/share/zoneinfo/right/*",
                "usr/share/zoneinfo/posix/*",
                "etc/*",
            ),
            directories={"run/postgresql": 0o777},
            links={
                f"usr/bin/{tool}": f"../lib/postgresql/17/bin/{tool}"
                for tool in "createdb pg_dump pg_isready pg_restore pgbench postgres psql".split()
            },
        ),
        Layer(
            name="trac",
            packages=[
                "libcom-err2",
                "libgssapi-krb5-2",
                "libjs-jquery",
                "libjs-jquery-timepicker",
                "libjs-jquery-ui",
                "libk5crypto3",
                "libkeyutils1",
                "libkrb5-3",
                "libkrb5support0",
                "libldap2",
                "libpq5",
                "libsasl2-2",
                "python3-jinja2",
                "python3-markupsafe",
                "python3-multipart",
                "python3-pkg-resources",
                "python3-psycopg2",
                "python3-setuptools",
                "trac",
            ],
            dropped=(
                "etc/*",
                "usr/lib/*/sasl2/*",
                "usr/lib/python3/dist-packages/trac/locale/*",
                "usr/lib/python3/dist-packages/trac/*/tests/*",
                "usr/share/nodejs/*",
                "usr/share/javascript/jquery-ui/i18n/*",
                "usr/share/javascript/jquery-ui-themes/*",
            ),
            kept=("etc/trac/*",),
            directories={"opt/trac/env": 0o777},
            compiled=("usr/lib/python3/dist-packages",),
        ),
        Layer(
            name="elasticsearch",
            packages=[
                "groonga-bin",
                "libgroonga0t64",
                "liblz4-1",
                "libmsgpack-c2",
                "libstdc++6",
                "libxxhash0",
                "libzstd1",
            ],
            directories={"run/elasticsearch": 0o777},
        ),
        Layer(
            name="kibana",
            packages=[],
            directories={"run/elasticsearch": 0o777},
            compiled=("usr/lib/flocker",),
        ),
        Layer(name="writer", packages=[], directories={"var/lib/writer": 0o777}),
        # Entrypoints that start as root drop their privileges with it.
        Layer(
            name="setpriv",
            packages=["libcap-ng0", "util-linux"],
            dropped=("*",),
            kept=("usr/bin/setpriv", "usr/lib/*/libcap-ng.so*"),
        ),
        Layer(
            name="postgres",
            packages=[],
            directories={"var/lib/postgresql": 0o755, "var/lib/postgresql/data": 0o1777},
            owners={"var/lib/postgresql": (901, 901), "var/lib/postgresql/data": (901, 901)},
        ),
        Layer(
            name="redis",
            packages=[
                "libatomic1",
                "libcap2",
                "libjemalloc2",
                "liblzf1",
                "libssl3t64",
                "libstdc++6",
                "libsystemd0",
                "libzstd1",
                "redis-server",
                "redis-tools",
            ],
            dropped=(
                "etc/*",
                "usr/bin/redis-benchmark",
                "usr/bin/redis-check-aof",
                "usr/lib/*/engines-3/*",
                "usr/lib/*/libpsx*",
                "usr/lib/*/ossl-modules/*",
                "usr/share/gcc/*",
            ),
            directories={"data": 0o755},
            owners={"data": (906, 906)},
        ),
        Layer(
            name="mariadb",
            packages=[
                "libaio1t64",
                "libbsd0",
                "libcap2",
                "libcrypt1",
                "libedit2",
                "libmd0",
                "libncurses6",
                "libnuma1",
                "libpcre2-8-0",
                "libssl3t64",
                "libstdc++6",
                "libsystemd0",
                "libtinfo6",
                "liburing2",
                "libzstd1",
                "mariadb-client-core",
                "mariadb-server-core",
            ],
            dropped=(
                "etc/*",
                "usr/bin/*",
                "usr/lib/*/engines-3/*",
                "usr/lib/*/libpcre2-posix*",
                "usr/lib/*/libpsx*",
                "usr/lib/*/ossl-modules/*",
                "usr/share/gcc/*",
                "usr/share/mariadb/mini-benchmark",
                "usr/share/mariadb/wsrep*",
                "usr/share/mariadb/fill_help_tables.sql",
                "usr/share/mariadb/mariadb_test*",
            ),
            kept=("usr/bin/mariadb", "usr/bin/mariadb-dump"),
            directories={"var/lib/mysql": 0o755},
            owners={"var/lib/mysql": (907, 907)},
        ),
        Layer(
            name="registry",
            packages=["docker-registry"],
            dropped=("etc/*",),
            directories={"var/lib/registry": 0o777},
        ),
        Layer(name="slow-stop", packages=[], directories={"var/lib/slow-stop": 0o777}),
        Layer(name="echo", packages=[]),
        Layer(name="miniflux", packages=["miniflux"], dropped=("etc/*", "usr/share/*")),
        Layer(
            name="wordpress",
            packages=[
                "libargon2-1",
                "liblzma5",
                "libpcre2-8-0",
                "libsodium23",
                "libssl3t64",
                "libxml2",
                "libzstd1",
                "php-getid3",
                "php8.4-cli",
                "php8.4-common",
                "php8.4-mysql",
                "tzdata",
                "wordpress",
            ],
            dropped=(
                "etc/*",
                "usr/bin/*",
                "usr/lib/*/engines-3/*",
                "usr/lib/*/libpcre2-posix*",
                "usr/lib/*/ossl-modules/*",
                "usr/lib/php/*",
                "usr/share/zoneinfo/right/*",
                "usr/share/zoneinfo/posix/*",
                "usr/share/wordpress/.htaccess",
                "usr/share/wordpress/wp-config*",
                "usr/share/wordpress/wp-includes/certificates/*",
                # The editor and its like, which run in a browser: half of the package.
                "usr/share/wordpress/wp-includes/js/*",
                "var/lib/*",
            ),
            kept=(
                "usr/bin/php8.4",
                "usr/lib/php/*/ctype.so",
                "usr/lib/php/*/mysqli.so",
                "usr/lib/php/*/mysqlnd.so",
                "usr/lib/php/*/tokenizer.so",
                "usr/share/wordpress/wp-includes/js/*.php",
            ),
            directories={"var/www/html": 0o1777},
            owners={"var/www/html": (33, 33)},
        ),
        Layer(
            name="web",
            packages=[],
            links={"var/www/html/start.html": "index.html"},
            directories={"var/www/html": 0o750, "var/www/html/uploads": 0o2770},
            owners={
                "var/www/html": (33, 33),
                "var/www/html/index.html": (33, 33),
                "var/www/html/uploads": (33, 901),
            },
        ),
    )
}

IMAGES = [
    Image(
        name="postgresql",
        layers=["base", "postgresql"],
        user="901:901",
        entrypoint=["/usr/lib/flocker/postgresql"],
        ports=[5432],
        environment={"PGHOST": "/tmp", "PGUSER": "postgres", "LANG": "C.UTF-8"},
    ),
    Image(
        name="trac",
        layers=["base", "python", "trac"],
        user="902:902",
        entrypoint=["/usr/bin/python3", "-m", "flocker_trac"],
        ports=[8080],
        environment={"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
    ),
    Image(
        name="elasticsearch",
        layers=["base", "elasticsearch"],
        user="903:903",
        entrypoint=["/usr/lib/flocker/elasticsearch"],
        ports=[9200],
        environment={"LANG": "C.UTF-8"},
    ),
    Image(
        name="kibana",
        layers=["base", "python", "kibana"],
        user="904:904",
        entrypoint=["/usr/bin/python3", "/usr/lib/flocker/kibana/__main__.py"],
        ports=[8081],
        environment={"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
    ),
    Image(
        name="writer",
        layers=["base", "writer"],
        user="905:905",
        entrypoint=["/usr/lib/flocker/writer"],
        ports=[7000],
    ),
    Image(
        name="echo",
        layers=["base", "python", "echo"],
        user="908:908",
        entrypoint=["/usr/bin/python3", "/usr/lib/flocker/echo/__main__.py"],
        ports=[7007],
        environment={"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
    ),
    # The configuration of the following images is that of official ones: they start as root, declare
    # volumes, and say how they are stopped and checked.
    Image(
        name="postgres",
        layers=["base", "postgresql", "setpriv", "postgres"],
        entrypoint=["/usr/lib/flocker/postgres"],
        command=["postgres"],
        ports=[5432],
        environment={"PGDATA": "/var/lib/postgresql/data", "PGHOST": "/tmp", "LANG": "C.UTF-8"},
        volumes=["/var/lib/postgresql/data"],
        stop_signal="SIGINT",
        # The times are those of emulated machines, on which `initdb` takes a minute.
        health_check=HealthCheck(
            command='pg_isready --quiet --username="${POSTGRES_USER:-postgres}"',
            interval=10,
            timeout=30,
            start_period=180,
            retries=6,
        ),
    ),
    Image(
        name="redis",
        layers=["base", "setpriv", "redis"],
        entrypoint=["/usr/lib/flocker/redis"],
        command=["redis-server", "--protected-mode", "no"],
        ports=[6379],
        volumes=["/data"],
        working_directory="/data",
    ),
    Image(
        name="mariadb",
        layers=["base", "setpriv", "mariadb"],
        entrypoint=["/usr/lib/flocker/mariadb"],
        command=["mariadbd"],
        ports=[3306],
        volumes=["/var/lib/mysql"],
    ),
    Image(
        name="registry",
        layers=["base", "registry"],
        user="908:908",
        entrypoint=["/usr/lib/flocker/registry"],
        ports=[5000],
    ),
    Image(
        name="slow-stop",
        layers=["base", "slow-stop"],
        entrypoint=["/usr/lib/flocker/slow-stop"],
        volumes=["/var/lib/slow-stop"],
    ),
    Image(
        name="web",
        layers=["base", "web"],
        entrypoint=["/usr/lib/flocker/web"],
        ports=[80],
        volumes=["/var/www/html"],
    ),
    Image(
        name="wordpress",
        layers=["base", "setpriv", "wordpress"],
        entrypoint=["/usr/lib/flocker/wordpress"],
        command=["php8.4", "-S", "0.0.0.0:80"],
        ports=[80],
        # A page asks its own server while it is made.
        environment={"PHP_CLI_SERVER_WORKERS": "2"},
        volumes=["/var/www/html"],
        working_directory="/var/www/html",
    ),
    Image(
        name="miniflux",
        layers=["base", "miniflux"],
        user="65534",
        entrypoint=["/usr/bin/miniflux"],
        ports=[8080],
        environment={"LISTEN_ADDR": "0.0.0.0:8080"},
    ),
]
