# All that a developer needs; `cargo xtask` installs nothing where it finds it.
{ lib, pkgs }:
let
  inherit (pkgs.stdenv.hostPlatform) isLinux;
in
pkgs.mkShell {
  packages = [
    pkgs.cargo
    pkgs.clippy
    pkgs.rustc
    pkgs.rustfmt
    pkgs.rust-analyzer
    pkgs.cargo-insta
    pkgs.git
    pkgs.pkg-config
    pkgs.nixfmt
    pkgs.deadnix
    pkgs.ruff
    pkgs.ty
  ]
  ++ lib.optionals isLinux [
    pkgs.libmnl
    pkgs.libnftnl
    pkgs.zfs
    pkgs.busybox
    pkgs.curl
    pkgs.dbus
    pkgs.docker
    pkgs.e2fsprogs
    pkgs.iproute2
    pkgs.iptables
    pkgs.nftables
    pkgs.openssh
    pkgs.postgresql_17
    pkgs.procps
    pkgs.python3
    pkgs.qemu_kvm
    pkgs.systemd
    pkgs.util-linux
  ];
  env.RUST_SRC_PATH = "${pkgs.rustPlatform.rustLibSrc}";
}
