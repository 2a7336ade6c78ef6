# A node as `flocker-lab` boots it: QEMU loads kernel and initial RAM disk, the
# root disk is /dev/vda, and the kernel command line says who the node is
# (crates/lab/src/machine.rs), because all nodes of a lab start from one image.
{
  config,
  lib,
  pkgs,
  modulesPath,
  ...
}:
let
  # Written before anything uses them, and nowhere in /etc.
  identity = pkgs.writeShellApplication {
    name = "lab-identity";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.hostname
      pkgs.iproute2
    ];
    text = ''
      hostname="" address="" gateway="" key=""
      read -r -a words </proc/cmdline
      for word in "''${words[@]}"; do
        case $word in
          lab.hostname=*) hostname=''${word#*=} ;;
          lab.address=*) address=''${word#*=} ;;
          lab.gateway=*) gateway=''${word#*=} ;;
          lab.key=*) key=''${word#*=} ;;
        esac
      done
      # Not a lab, but `nixos-rebuild build-vm`.
      [ -n "$hostname" ] || exit 0
      hostname "$hostname"
      ip link set eth0 up
      ip address replace "$address" dev eth0
      ip route replace default via "$gateway"
      install -d -m 0700 ~root/.ssh
      printf '%s' "$key" | base64 --decode >~root/.ssh/authorized_keys
    '';
  };

  rootDisk = pkgs.callPackage (modulesPath + "/../lib/make-ext4-fs.nix") {
    storePaths = [ config.system.build.toplevel ];
    volumeLabel = "nixos";
  };
in
{
  boot.loader.grub.enable = false;
  boot.initrd.availableKernelModules = [
    "virtio_blk"
    "virtio_pci"
  ];
  boot.kernelModules = [
    "virtio_balloon"
    "virtio_net"
    "virtio_rng"
  ];
  fileSystems."/" = {
    device = "/dev/vda";
    fsType = "ext4";
    options = [ "noatime" ];
    # The file system is as small as its contents, the disk is not.
    autoResize = true;
  };

  networking.useDHCP = false;
  networking.usePredictableInterfaceNames = false;
  # The command line says which.
  networking.hostName = lib.mkDefault "";

  systemd.services.lab-identity = {
    description = "Take name, address and operator's key from the kernel command line";
    wantedBy = [ "multi-user.target" ];
    requiredBy = [ "network-pre.target" ];
    wants = [ "network-pre.target" ];
    before = [
      "network-pre.target"
      "sshd.service"
    ];
    after = [ "systemd-udevd.service" ];
    unitConfig.DefaultDependencies = false;
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = lib.getExe identity;
    };
  };

  # What `flocker-lab up --image` takes: a directory with these files.
  system.build.labImage = pkgs.runCommand "flocker-lab-image" { } ''
    mkdir $out
    ln -s ${config.system.build.kernel}/${config.system.boot.loader.kernelFile} $out/kernel
    ln -s ${config.system.build.initialRamdisk}/${config.system.boot.loader.initrdFile} $out/initrd
    echo "init=${config.system.build.toplevel}/init ${toString config.boot.kernelParams}" >$out/parameters
    cp --sparse=always --no-preserve=mode ${rootDisk} $out/root.img
    truncate --size=16G $out/root.img
    cp ${./first-boot} $out/first-boot
  '';

  virtualisation.vmVariant = {
    imports = [ ./machine.nix ];
    fileSystems."/".autoResize = lib.mkForce false;
  };
}
