# The operator's program is for machines that have neither ZFS nor Docker.
{ lib, pkgs }:
let
  inherit (pkgs) flocker-cluster flocker-node zfs;
  inputs = package: package.buildInputs ++ package.propagatedBuildInputs;
in
[
  {
    name = "flocker-cluster is built without any C library";
    holds = inputs flocker-cluster == [ ];
  }
  {
    name = "flocker-node is built with the machine's ZFS";
    holds = lib.elem zfs.dev (map (input: input.dev or input) (inputs flocker-node));
  }
]
