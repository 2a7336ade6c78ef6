# The packages and functions of nixpkgs that we name. A package is a derivation,
# so that it can be used like one, but one that only says its name.
{ lib, system }:
let
  inherit (builtins)
    functionArgs
    intersectAttrs
    isList
    isString
    mapAttrs
    ;

  isLinux = lib.hasSuffix "-linux" system;

  # Whatever text or other derivation is given has to evaluate.
  derive =
    name: settings:
    let
      given = lib.filterAttrs (
        _: value: isString value || (isList value && lib.all (one: one ? drvPath) value)
      ) settings;
    in
    derivation (
      mapAttrs (_: value: if isList value then map toString value else value) (
        removeAttrs given [ "name" ]
      )
      // {
        inherit name system;
        builder = "/bin/sh";
      }
    )
    // {
      pname = settings.pname or name;
      version = settings.version or "0";
      meta = {
        mainProgram = settings.pname or name;
      }
      // settings.meta or { };
      buildInputs = settings.buildInputs or [ ];
      propagatedBuildInputs = [ ];
    }
    // settings.passthru or { };
  fake = name: derive name { };
  fakes = names: lib.genAttrs names fake;

  call =
    packages: path: arguments:
    let
      make = if builtins.isFunction path then path else import path;
      result = make (intersectAttrs (functionArgs make) packages // arguments);
    in
    result // { override = changed: call packages path (arguments // changed); };

  nodesOf =
    packages: test:
    let
      nodes = mapAttrs (
        _: node:
        (import ./nixos/system.nix { inherit lib; } {
          modules = [
            node
            { nixpkgs.pkgs = packages; }
          ];
          specialArgs = { inherit nodes; };
        }).config
      ) test.nodes;
    in
    nodes;

  everywhere =
    packages:
    fakes [
      "cargo"
      "cargo-insta"
      "clippy"
      "deadnix"
      "git"
      "installShellFiles"
      "makeBinaryWrapper"
      "nixfmt"
      "nixfmt-tree"
      "pkg-config"
      "rsync"
      "ruff"
      "rust-analyzer"
      "rustc"
      "rustfmt"
      "ty"
    ]
    // {
      inherit lib system;
      pkgs = packages;
      path = ./.;
      callPackage = call packages;
      extend = overlay: close (final: overlay final packages);
      stdenv = {
        hostPlatform = {
          inherit system isLinux;
        };
        buildPlatform.canExecute = _: true;
        mkDerivation = settings: derive (settings.name or settings.pname) settings;
      };
      mkShell = settings: derive "shell" settings;
      runCommand =
        name: settings: script:
        derive name (settings // { inherit script; });
      writeText = name: text: derive name { inherit text; } // { inherit text; };
      writeShellApplication = settings: derive settings.name settings;
      closureInfo = { rootPaths }: derive "closure-info" { packages = rootPaths; };
      symlinkJoin = settings: derive settings.name settings;
      formats = lib.genAttrs [ "json" "toml" ] (
        format: _: {
          type = lib.types.anything // {
            description = "${
              lib.replaceStrings
                [
                  "t"
                  "o"
                  "m"
                  "l"
                  "j"
                  "s"
                  "n"
                ]
                [
                  "T"
                  "O"
                  "M"
                  "L"
                  "J"
                  "S"
                  "N"
                ]
                format
            } value";
          };
          generate = name: value: derive name { text = builtins.toJSON value; };
        }
      );
      rustPlatform = {
        buildRustPackage = settings: derive settings.pname settings;
        importCargoLock = { lockFile }: derive "vendored" { text = builtins.readFile lockFile; };
        cargoSetupHook = fake "cargo-setup-hook";
        rustLibSrc = fake "rust-lib-src";
      };
    };

  onLinux =
    packages:
    lib.optionalAttrs isLinux (
      fakes [
        "bash"
        "busybox"
        "conntrack-tools"
        "coreutils"
        "curl"
        "dbus"
        "distribution"
        "docker"
        "e2fsprogs"
        "groonga"
        "hostname"
        "iproute2"
        "iptables"
        "iptables-legacy"
        "jq"
        "libmnl"
        "libnftnl"
        "mariadb_118"
        "miniflux"
        "nftables"
        "openssh"
        "php84"
        "postgresql_17"
        "procps"
        "qemu_kvm"
        "redis"
        "systemd"
        "util-linux"
        "wordpress"
      ]
      // {
        zfs = fake "zfs" // {
          dev = fake "zfs-dev";
        };
        python3 = fake "python3" // {
          sitePackages = "lib/python3/site-packages";
          withPackages = choose: derive "python3-env" { packages = choose { }; };
          pkgs.toPythonModule = package: package;
        };
        python3Packages =
          fakes [
            "jinja2"
            "multipart"
            "psycopg2"
            "setuptools"
          ]
          // {
            fetchPypi =
              {
                pname,
                version,
                hash,
              }:
              derive "${pname}-${version}" { text = hash; };
            buildPythonPackage = settings: derive settings.pname settings;
          };
        dockerTools.streamLayeredImage =
          settings: derive "image" (settings // { name = null; }) // { imageName = settings.name; };
        testers.runNixOSTest =
          test:
          let
            machines = lib.mapAttrsToList (_: node: node.system.build.toplevel) (nodesOf packages test);
          in
          derive test.name {
            inherit (test) testScript;
            inherit machines;
          }
          // {
            driver = fake "driver";
          };
      }
    );

  close =
    add:
    let
      packages = base // add packages;
      base = everywhere packages // onLinux packages;
    in
    packages;
in
close (_: { })
