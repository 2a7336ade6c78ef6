# Evaluates a machine with the module: what its user wrote, and beside that only
# what every machine needs. All of them share one set of packages, which is most
# of what evaluating a machine costs.
{ nixpkgs, pkgs }:
modules:
nixpkgs.lib.nixosSystem {
  modules = [
    ../module
    ./plain.nix
    { nixpkgs.pkgs = pkgs; }
  ]
  ++ modules;
}
