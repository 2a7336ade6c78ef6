{
  lib,
  pkgs,
  storePaths,
  volumeLabel,
}:
pkgs.writeText volumeLabel (lib.concatMapStringsSep "\n" toString storePaths)
