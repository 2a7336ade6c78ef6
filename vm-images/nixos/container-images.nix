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
  groonga,
  postgresql_17,
  python3,
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

  # Directories that volumes are mounted on, and what is in every image.
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
      volume,
      user,
      entrypoint,
      port,
      environment ? { },
      extraCommands ? "",
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
      config = {
        User = "${toString user}:${toString user}";
        Entrypoint = entrypoint;
        ExposedPorts."${toString port}/tcp" = { };
        Env = lib.mapAttrsToList (variable: value: "${variable}=${value}") (
          {
            PATH = "/usr/bin:/bin";
            LANG = "C.UTF-8";
          }
          // environment
        );
      };
    };

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
      # The entrypoint looks for the programs where Debian has them.
      extraCommands = ''
        mkdir -p usr/lib/postgresql/17
        ln -s ${postgresql_17}/bin usr/lib/postgresql/17/bin
      '';
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
      name = "writer";
      contents = [ (files + "/writer") ];
      volume = "/var/lib/writer";
      user = 905;
      entrypoint = [ "/usr/lib/flocker/writer" ];
      port = 7000;
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
