# What `nix flake check` builds besides the packages and the machines.
{
  lib,
  pkgs,
  self,
}:
let
  sources = import ./sources.nix { inherit lib; };

  # Something that cargo says about the whole workspace.
  cargoCheck =
    name: command:
    pkgs.stdenv.mkDerivation {
      name = "flocker-${name}";
      src = sources.tests;
      cargoDeps = pkgs.rustPlatform.importCargoLock { lockFile = ../Cargo.lock; };
      strictDeps = true;
      nativeBuildInputs = [
        pkgs.rustPlatform.cargoSetupHook
        pkgs.cargo
        pkgs.clippy
        pkgs.rustc
        pkgs.rustfmt
        pkgs.openssh
        pkgs.pkg-config
      ];
      buildInputs = [
        pkgs.libmnl
        pkgs.libnftnl
        pkgs.zfs
      ];
      buildPhase = command;
      installPhase = "touch $out";
    };

  nixCheck =
    name: tools: command:
    pkgs.runCommand "flocker-${name}" { nativeBuildInputs = tools; } ''
      cd ${sources.nix}
      ${command}
      touch $out
    '';
in
{
  # Those of the other crates want a Docker daemon, an SSH server or network
  # namespaces of their own, which `cargo xtask test` gives them and machines in
  # nixos-tests have.
  tests = cargoCheck "tests" ''
    cargo test --frozen --workspace --exclude xtask --lib --bins
    cargo test --frozen --package flocker-model --package flocker-config --package flocker-plan
  '';
  clippy = cargoCheck "clippy" ''
    cargo clippy --frozen --workspace --all-targets --all-features -- --deny warnings
  '';
  rustfmt = cargoCheck "rustfmt" "cargo fmt --all --check";

  nixfmt = nixCheck "nixfmt" [ pkgs.nixfmt ] "nixfmt --check $(find . -name '*.nix')";
  deadnix = nixCheck "deadnix" [ pkgs.deadnix ] "deadnix --fail .";

  # Fails while it is evaluated, so there is nothing left to build.
  evaluation = pkgs.writeText "flocker-evaluation" (
    lib.concatStringsSep "\n" self.lib.evaluation.${pkgs.stdenv.hostPlatform.system}.passed
  );

  # The operator's program has to fit on a laptop.
  closure = pkgs.runCommand "flocker-cluster-closure" { } ''
    if grep --extended-regexp '/[a-z0-9]+-(zfs|docker|systemd)-' \
        ${pkgs.closureInfo { rootPaths = [ pkgs.flocker-cluster ]; }}/store-paths; then
      echo 'error: flocker-cluster needs these at run time' >&2
      exit 1
    fi
    touch $out
  '';
}
