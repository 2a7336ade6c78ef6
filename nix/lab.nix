# flocker-lab, with the programs that it runs. What makes the Debian image of its
# nodes is not in nixpkgs; `flocker-lab scenario` needs none of it.
{
  lib,
  callPackage,
  symlinkJoin,
  makeBinaryWrapper,
  bash,
  coreutils,
  curl,
  e2fsprogs,
  iproute2,
  openssh,
  postgresql_17,
  qemu_kvm,
  util-linux,
}:
let
  program = callPackage ./package.nix {
    pname = "flocker-lab";
    description = "Boots nodes in virtual machines and runs Flocker's scenarios on nodes";
  };
in
symlinkJoin {
  name = "${program.pname}-${program.version}";
  paths = [ program ];
  nativeBuildInputs = [ makeBinaryWrapper ];
  postBuild = ''
    wrapProgram $out/bin/flocker-lab \
      --set-default FLOCKER_LAB_RECIPE ${../vm-images/debian} \
      --suffix PATH : ${
        lib.makeBinPath [
          bash
          coreutils
          curl
          e2fsprogs
          iproute2
          openssh
          postgresql_17
          qemu_kvm
          util-linux
        ]
      }
  '';
  passthru = { inherit program; };
  inherit (program) meta;
}
