# Files, users and other programs' settings.
{ lib, machine }:
let
  inherit (machine [ ]) config;
  moved =
    (machine [
      {
        services.flocker.node = {
          dataset = "tank/applications";
          dataDirectory = "/srv/flocker";
          stateDirectory = "/persistent/flocker";
          address = "203.0.113.7";
          containerSubnet = "172.20.0.0/16";
          dockerSettings.storage-driver = "overlay2";
          operators.users = [ "alice" ];
        };
        services.openssh.ports = [ 2222 ];
      }
    ]).config;
  check = name: holds: { inherit name holds; };
  hasLine = line: text: lib.elem line (lib.splitString "\n" text);
  rule = user: command: "${user}     ALL=(root)    NOPASSWD: ${command}";
  program = "/run/current-system/sw/bin/flocker-node";
in
[
  (check "node.toml has paths that outlive an upgrade" (
    config.services.flocker.node.settings == {
      dataset = "tank/flocker";
      mount_root = "/flocker";
      state_directory = "/var/lib/flocker";
      host_keys = "/etc/ssh";
      ssh_port = 22;
      docker_program = "/run/current-system/sw/bin/docker";
      node_program = program;
      receive_command = "/run/wrappers/bin/sudo -n ${program}";
    }
  ))
  (check "node.toml follows the options" (
    lib.getAttrs [
      "address"
      "dataset"
      "mount_root"
      "ssh_port"
      "state_directory"
      "subnet"
    ] moved.services.flocker.node.settings == {
      address = "203.0.113.7";
      dataset = "tank/applications";
      mount_root = "/srv/flocker";
      ssh_port = 2222;
      state_directory = "/persistent/flocker";
      subnet = "172.20.0.0/16";
    }
  ))
  (check "Flocker has one file in /etc, which nothing writes to" (
    lib.filter (lib.hasInfix "flocker") (lib.attrNames config.environment.etc)
    == [ "flocker/node.toml" ]
  ))
  (check "the program is where operators and sshd look for it" (
    lib.elem config.services.flocker.node.package config.environment.systemPackages
  ))
  (check "rsync is there for imports" (
    lib.elem "rsync" (map (one: one.pname or one.name) config.environment.systemPackages)
  ))

  (check "Docker starts at boot" (
    lib.elem "multi-user.target" config.systemd.services.docker.wantedBy
  ))
  (check "containers do not outlive the Docker daemon" (
    !config.virtualisation.docker.daemon.settings.live-restore
  ))
  (check "daemon.json follows the options and keeps what NixOS sets" (
    moved.virtualisation.docker.daemon.settings
    == config.virtualisation.docker.daemon.settings // { storage-driver = "overlay2"; }
  ))

  (check "the pool is imported at boot" (config.boot.zfs.extraPools == [ "tank" ]))
  (check "ZFS is there" config.boot.supportedFilesystems.zfs)

  (check "other nodes' user has a group, no password and a shell for its forced command" (
    let
      user = config.users.users.flocker;
    in
    user.isSystemUser
    && user.group == "flocker"
    && user.shell == "/bin/sh"
    && user.hashedPassword == null
    && user.initialPassword == null
    && user.openssh.authorizedKeys.keys == [ ]
  ))
  (check "that user may receive as root, and nothing else" (
    hasLine (rule "flocker" "${program} ^receive [0-9a-f-]{36}$") config.security.sudo.configFile
  ))
  (check "operators without root's key may run flocker-node" (
    hasLine (rule "alice" program) moved.security.sudo.configFile
  ))
  (check "operators' keys are root's" (
    config.users.users.root.openssh.authorizedKeys.keys == [ "ssh-ed25519 AAAA alice@laptop" ]
  ))
  (check "sshd's settings for that user apply to nobody else" (
    lib.hasSuffix "Match all\n" config.services.openssh.extraConfig
    && hasLine "Match User flocker" config.services.openssh.extraConfig
  ))
  (check "sshd reads the keys of other nodes where the node writes them" (
    hasLine "    AuthorizedKeysFile /persistent/flocker/ssh/authorized_keys" moved.services.openssh.extraConfig
  ))
  (check "the directories exist before anything is written there" (
    lib.attrNames moved.systemd.tmpfiles.settings.flocker-node == [
      "/persistent/flocker"
      "/persistent/flocker/ssh"
      "/run/flocker"
    ]
  ))
]
