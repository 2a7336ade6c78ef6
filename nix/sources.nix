# Which files each derivation sees. One that it does not see does not rebuild it.
{ lib }:
let
  inherit (lib.fileset)
    difference
    fileFilter
    toSource
    unions
    ;

  root = ../.;

  compiled = unions [
    ../Cargo.toml
    ../Cargo.lock
    # Fuzz targets are a workspace of their own, which Nix does not build.
    (difference (fileFilter (file: !file.hasExt "md") ../crates) ../crates/fuzz)
    # Scenarios and documentation tests have these inside.
    (fileFilter (file: file.hasExt "yml") ../examples)
  ];
in
{
  # What the programs are compiled from.
  program = toSource {
    inherit root;
    fileset = compiled;
  };

  # What their tests and lints read, too.
  tests = toSource {
    inherit root;
    fileset = unions [
      compiled
      ../README.md
      ../clippy.toml
      ../rustfmt.toml
      ../docs
      ../vm-images/debian
    ];
  };

  # Everything in the languages of Nix and its test driver.
  nix = toSource {
    inherit root;
    fileset = unions [
      (fileFilter (file: file.hasExt "nix") root)
      (fileFilter (file: file.hasExt "py") ../nixos-tests)
    ];
  };
}
