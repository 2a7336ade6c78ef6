# The scenario's container images, made from nixpkgs: the same programs, files
# and promises as those that ../containers makes from Debian's packages. The
# result is a directory with one archive for each image, as `docker save` makes
# them, for `flocker-lab scenario --images`.
{
  lib,
  callPackage,
  runCommand,
  dockerTools,
  busybox,
  distribution,
  groonga,
  mariadb_118,
  miniflux,
  php84,
  postgresql_17,
  python3,
  redis,
  util-linux,
  wordpress,
}:
let
  files = ../containers/images;
  python = python3.withPackages (_: [
    (callPackage ./trac.nix { })
    tracPlugin
  ]);
  tracPlugin = python3.pkgs.toPythonModule (
    runCommand "flocker-trac" { } ''
      mkdir -p $out/${python3.sitePackages}
      cp -r ${files + "/trac/usr/lib/python3/dist-packages"}/. $out/${python3.sitePackages}/
    ''
  );

  # The directory that a volume is mounted on, and what is in every image.
  layout = volume: ''
    mkdir -p tmp run usr/bin var .${volume}
    [ -e var/run ] || ln -s ../run var/run
    chmod 1777 tmp
    chmod 0777 .${volume}
  '';

  image =
    {
      name,
      contents,
      # The directory that a volume is mounted on.
      volume ? "/tmp",
      user ? null,
      entrypoint,
      port ? null,
      environment ? { },
      extraCommands ? "",
      # Run as root: owners and modes.
      fakeRootCommands ? "",
      config ? { },
    }:
    dockerTools.streamLayeredImage {
      name = "flocker/${name}";
      tag = "latest";
      contents = [
        busybox
        (files + "/base")
      ]
      ++ contents;
      extraCommands = layout volume + extraCommands;
      inherit fakeRootCommands;
      config = {
        Entrypoint = entrypoint;
        Env = lib.mapAttrsToList (variable: value: "${variable}=${value}") (
          {
            PATH = "/usr/bin:/bin";
            LANG = "C.UTF-8";
          }
          // environment
        );
      }
      // lib.optionalAttrs (user != null) { User = "${toString user}:${toString user}"; }
      // lib.optionalAttrs (port != null) { ExposedPorts."${toString port}/tcp" = { }; }
      // config;
    };

  # Entrypoints that start as root look there for the program that drops privileges.
  setpriv = ''
    mkdir -p usr/bin
    ln -s ${util-linux}/bin/setpriv usr/bin/setpriv
  '';

  # The entrypoints look for the programs where Debian has them.
  postgresqlPrograms = ''
    mkdir -p usr/lib/postgresql/17
    ln -s ${postgresql_17}/bin usr/lib/postgresql/17/bin
  '';

  # Nanoseconds, as Docker has them.
  seconds = number: number * 1000000000;

  images = map image [
    {
      name = "postgresql";
      contents = [
        postgresql_17
        (files + "/postgresql")
      ];
      volume = "/run/postgresql";
      user = 901;
      entrypoint = [ "/usr/lib/flocker/postgresql" ];
      port = 5432;
      environment = {
        PGHOST = "/tmp";
        PGUSER = "postgres";
      };
      extraCommands = postgresqlPrograms;
    }
    {
      name = "trac";
      contents = [ python ];
      volume = "/opt/trac/env";
      user = 902;
      entrypoint = [
        "/bin/python3"
        "-m"
        "flocker_trac"
      ];
      port = 8080;
      environment.PYTHONUNBUFFERED = "1";
      extraCommands = ''
        mkdir -p etc/trac
        cp ${files + "/trac/etc/trac"}/* etc/trac/
      '';
    }
    {
      name = "elasticsearch";
      contents = [
        groonga
        (files + "/elasticsearch")
      ];
      volume = "/run/elasticsearch";
      user = 903;
      entrypoint = [ "/usr/lib/flocker/elasticsearch" ];
      port = 9200;
    }
    {
      name = "kibana";
      contents = [
        python3
        (files + "/kibana")
      ];
      volume = "/run/elasticsearch";
      user = 904;
      entrypoint = [
        "/bin/python3"
        "/usr/lib/flocker/kibana/__main__.py"
      ];
      port = 8081;
      environment.PYTHONUNBUFFERED = "1";
    }
    {
      name = "echo";
      contents = [
        python3
        (files + "/echo")
      ];
      user = 908;
      entrypoint = [
        "/bin/python3"
        "/usr/lib/flocker/echo/__main__.py"
      ];
      port = 7007;
      environment.PYTHONUNBUFFERED = "1";
    }
    {
      name = "writer";
      contents = [ (files + "/writer") ];
      volume = "/var/lib/writer";
      user = 905;
      entrypoint = [ "/usr/lib/flocker/writer" ];
      port = 7000;
    }
    {
      name = "postgres";
      contents = [
        postgresql_17
        (files + "/postgresql")
        (files + "/postgres")
      ];
      volume = "/var/lib/postgresql/data";
      entrypoint = [ "/usr/lib/flocker/postgres" ];
      port = 5432;
      environment = {
        PGDATA = "/var/lib/postgresql/data";
        PGHOST = "/tmp";
      };
      extraCommands = setpriv + postgresqlPrograms;
      fakeRootCommands = ''
        chown -R 901:901 var/lib/postgresql
        chmod 1777 var/lib/postgresql/data
      '';
      config = {
        Cmd = [ "postgres" ];
        Volumes."/var/lib/postgresql/data" = { };
        StopSignal = "SIGINT";
        Healthcheck = {
          Test = [
            "CMD-SHELL"
            "pg_isready --quiet --username=\"\${POSTGRES_USER:-postgres}\""
          ];
          Interval = seconds 10;
          Timeout = seconds 30;
          StartPeriod = seconds 180;
          Retries = 6;
        };
      };
    }
    {
      name = "redis";
      contents = [
        redis
        (files + "/redis")
      ];
      volume = "/data";
      entrypoint = [ "/usr/lib/flocker/redis" ];
      port = 6379;
      extraCommands = setpriv;
      fakeRootCommands = ''
        chown 906:906 data
        chmod 0755 data
      '';
      config = {
        Cmd = [
          "redis-server"
          "--protected-mode"
          "no"
        ];
        Volumes."/data" = { };
        WorkingDir = "/data";
      };
    }
    {
      name = "mariadb";
      contents = [
        mariadb_118
        (files + "/mariadb")
      ];
      volume = "/var/lib/mysql";
      entrypoint = [ "/usr/lib/flocker/mariadb" ];
      port = 3306;
      extraCommands = setpriv + ''
        mkdir -p usr/sbin usr/share
        ln -s ${mariadb_118}/bin/mariadbd usr/sbin/mariadbd
        ln -s ${mariadb_118}/share/mysql usr/share/mariadb
      '';
      fakeRootCommands = ''
        chown 907:907 var/lib/mysql
        chmod 0755 var/lib/mysql
      '';
      config = {
        Cmd = [ "mariadbd" ];
        Volumes."/var/lib/mysql" = { };
      };
    }
    {
      name = "miniflux";
      contents = [ miniflux ];
      user = 65534;
      entrypoint = [ "/usr/bin/miniflux" ];
      port = 8080;
      environment.LISTEN_ADDR = "0.0.0.0:8080";
      extraCommands = "ln -s ${miniflux}/bin/miniflux usr/bin/miniflux\n";
    }
    {
      name = "wordpress";
      contents = [
        php84
        (files + "/wordpress")
      ];
      volume = "/var/www/html";
      entrypoint = [ "/usr/lib/flocker/wordpress" ];
      port = 80;
      # A page asks its own server while it is made.
      environment.PHP_CLI_SERVER_WORKERS = "2";
      # Copied, so that it is writable: the theme stands between the package's own files.
      extraCommands = setpriv + ''
        ln -s ${php84}/bin/php usr/bin/php8.4
        cp -r ${wordpress}/share/wordpress/. usr/share/wordpress/
        chmod -R u+w usr/share/wordpress
      '';
      fakeRootCommands = ''
        chown 33:33 var/www/html
        chmod 1777 var/www/html
      '';
      config = {
        Cmd = [
          "php8.4"
          "-S"
          "0.0.0.0:80"
        ];
        Volumes."/var/www/html" = { };
        WorkingDir = "/var/www/html";
      };
    }
    {
      name = "registry";
      contents = [
        distribution
        (files + "/registry")
      ];
      volume = "/var/lib/registry";
      user = 908;
      entrypoint = [ "/usr/lib/flocker/registry" ];
      port = 5000;
    }
    {
      name = "slow-stop";
      contents = [ (files + "/slow-stop") ];
      volume = "/var/lib/slow-stop";
      entrypoint = [ "/usr/lib/flocker/slow-stop" ];
      config.Volumes."/var/lib/slow-stop" = { };
    }
    {
      name = "web";
      contents = [ ];
      volume = "/var/www/html";
      entrypoint = [ "/usr/lib/flocker/web" ];
      port = 80;
      # The content is copied: what `contents` has would be links to the store.
      extraCommands = ''
        mkdir -p usr/lib/flocker
        cp ${files + "/web/usr/lib/flocker/web"} usr/lib/flocker/web
        cp -r ${files + "/web/var/www/html"}/. var/www/html/
        chmod -R u+w var/www/html
        ln -s index.html var/www/html/start.html
      '';
      fakeRootCommands = ''
        chown 33:33 var/www/html var/www/html/index.html
        chown 33:901 var/www/html/uploads
        chmod 0750 var/www/html
        chmod 2770 var/www/html/uploads
        chmod 0644 var/www/html/index.html var/www/html/uploads/README
      '';
      config.Volumes."/var/www/html" = { };
    }
  ];
in
runCommand "flocker-container-images"
  {
    passthru = lib.listToAttrs (
      map (image: lib.nameValuePair (lib.removePrefix "flocker/" image.imageName) image) images
    );
    meta.description = "Container images of Flocker's scenarios";
  }
  ''
    mkdir $out
    ${lib.concatMapStringsSep "\n" (
      image: "${image} >$out/${lib.removePrefix "flocker/" image.imageName}.tar"
    ) images}
  ''
