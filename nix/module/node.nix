# The node itself: its settings, Docker, ZFS, and what is started at boot.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkIf;
  cfg = config.services.flocker.node;

  # Paths that survive an upgrade: authorised keys and units keep them, and what
  # they would name in the store is garbage one day.
  system = "/run/current-system/sw/bin";

  settings = {
    inherit (cfg) dataset;
    mount_root = cfg.dataDirectory;
    state_directory = cfg.stateDirectory;
    host_keys = builtins.dirOf (lib.head config.services.openssh.hostKeys).path;
    ssh_port = lib.head config.services.openssh.ports;
    docker_program = "${system}/docker";
    node_program = "${system}/flocker-node";
    receive_command = "${config.security.wrapperDir}/sudo -n ${system}/flocker-node";
  }
  // lib.optionalAttrs (cfg.address != null) { inherit (cfg) address; }
  // lib.optionalAttrs (cfg.containerSubnet != null) { subnet = cfg.containerSubnet; };

  importsPool = lib.optional (cfg.pool != null) "zfs-import-${cfg.pool}.service";
in
{
  config = mkIf cfg.enable {
    services.flocker.node.settings = lib.mapAttrs (_: mkDefault) settings;

    # The only file of Flocker's in /etc, and nothing writes there.
    environment.etc."flocker/node.toml".source =
      (pkgs.formats.toml { }).generate "flocker-node.toml"
        cfg.settings;
    environment.systemPackages = [
      cfg.package
      # Copies what `volume import` brings in.
      pkgs.rsync
    ];

    boot.supportedFilesystems.zfs = mkDefault true;
    boot.zfs.extraPools = lib.optional (cfg.pool != null) cfg.pool;

    virtualisation.docker = {
      enable = mkDefault true;
      # Otherwise Docker would start with the first container that somebody asks
      # for, and nothing would come back after a boot.
      enableOnBoot = true;
      daemon.settings = {
        # systemd starts what should run; containers that outlive the daemon
        # would be started twice.
        live-restore = mkDefault false;
      }
      // cfg.dockerSettings;
    };

    systemd.tmpfiles.settings.flocker-node = {
      "/run/flocker".d = {
        user = "root";
        group = "root";
        mode = "0755";
      };
      # sshd takes keys only from where nobody but root can write.
      ${cfg.stateDirectory}.d = {
        user = "root";
        group = "root";
        mode = "0755";
      };
      "${cfg.stateDirectory}/ssh".d = {
        user = "root";
        group = "root";
        mode = "0755";
      };
    };

    systemd.services.flocker = {
      description = "Flocker: bring back the applications and volumes of this node";
      documentation = [ "https://github.com/ClusterHQ/flocker" ];
      wants = [
        "network-online.target"
        "docker.service"
      ]
      ++ importsPool;
      after = [
        "dbus.socket"
        "docker.service"
        "network-online.target"
        # A node that takes this one for lost asks it first, and must get an
        # answer before this one asks in its turn and starts anything.
        "sshd.service"
        "zfs-import.target"
        "zfs-mount.service"
      ]
      ++ importsPool
      ++ lib.optional config.networking.nftables.enable "nftables.service"
      ++ lib.optional config.networking.firewall.enable "firewall.service";
      # Not only at boot: when Docker was stopped and is started again, its
      # applications are to come back, too. That is why the service does not stay
      # active once it has run.
      wantedBy = [
        "multi-user.target"
        "docker.service"
      ];
      # It waits for keys as long as that takes.
      startLimitIntervalSec = 0;
      # A new configuration must not stop or start applications by itself.
      restartIfChanged = false;
      path = [
        config.boot.zfs.package
        pkgs.util-linux
      ];
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${cfg.package}/bin/flocker-node restore";
        # Volumes may be many and disks slow, but a node must not hang for ever.
        TimeoutStartSec = "15min";
        # It is run again when it was killed, as for want of memory: it has brought back only a part
        # then, and did not say of what. It is also run again when it waits for a key (exit code 7),
        # until somebody runs `zfs load-key`.
        Restart = "on-failure";
        RestartPreventExitStatus = "1 2 3 4 5 101";
        RestartSec = "5s";
        UMask = "0022";
      }
      // import ./hardening.nix;
    };

    # Its name begins with no `flocker-`: those are of applications.
    systemd.services."flocker.network" = {
      description = "Flocker: keep routes and links through changes of the firewall";
      documentation = [ "https://github.com/ClusterHQ/flocker" ];
      after = [
        "docker.service"
      ]
      ++ lib.optional config.networking.nftables.enable "nftables.service"
      ++ lib.optional config.networking.firewall.enable "firewall.service";
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "exec";
        ExecStart = "${cfg.package}/bin/flocker-node guard-network";
        # It sleeps until the firewall changes, and may be stopped and killed at any time.
        Restart = "on-failure";
        RestartSec = "5s";
        UMask = "0022";
      }
      // import ./hardening.nix;
    };
  };
}
