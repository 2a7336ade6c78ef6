# One test for each directory here.
#
# What is done and what must be true is not written here but in the scenarios of
# crates/lab, which run in the Debian lab as well; a test says on which machines.
{ lib, pkgs }:
let
  sshKeys = import (pkgs.path + "/nixos/tests/ssh-keys.nix") pkgs;

  node = {
    imports = [
      ../nix/module
      ../vm-images/nixos/node.nix
      ../vm-images/nixos/machine.nix
    ];
    services.flocker.node.operators.keys = [ sshKeys.snakeOilEd25519PublicKey ];
  };
  operator = ../vm-images/nixos/operator.nix;

  makeTest =
    {
      name,
      # How many nodes, and what they have that those of other tests have not.
      count ? 2,
      extra ? { },
      script,
    }:
    pkgs.testers.runNixOSTest {
      name = "flocker-${name}";
      nodes = {
        inherit operator;
      }
      // lib.genAttrs (map (number: "node${toString number}") (lib.range 1 count)) (_: {
        imports = [
          node
          extra
        ];
      });
      # Every archive of images is in the store, which all machines share.
      testScript = ''
        IMAGES = "${pkgs.flocker-container-images}"
        ${builtins.readFile ./prelude.py}
        ${builtins.readFile script}
      '';
      globalTimeout = 2 * 60 * 60;
      meta.timeout = 2 * 60 * 60;
    };

  isTest = name: kind: kind == "directory" && builtins.pathExists (./. + "/${name}/default.nix");
in
lib.mapAttrs (name: _: makeTest (import (./. + "/${name}") // { inherit name; })) (
  lib.filterAttrs isTest (builtins.readDir ./.)
)
