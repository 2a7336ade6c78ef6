# What a node needs, and what to do when it is missing.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) optionals;
  cfg = config.services.flocker.node;
  docker = config.virtualisation.docker;
  sshd = config.services.openssh.settings;

  require = assertion: message: {
    inherit assertion;
    message = "services.flocker.node: ${message}";
  };

  isLegacy = package: package.outPath == pkgs.iptables-legacy.outPath;
  isReceiver = user: user == "flocker";
  names = value: if value == null then [ ] else value;
in
{
  config.assertions = optionals cfg.enable [
    (require (cfg.pool != null) "`pool` must name the ZFS pool for volumes, for example \"tank\".")
    (require (
      cfg.pool == null || lib.hasPrefix "${cfg.pool}/" cfg.dataset
    ) "`dataset` is \"${cfg.dataset}\", which is not in the pool \"${toString cfg.pool}\".")
    (require (config.networking.hostId != null)
      "ZFS needs `networking.hostId`: eight hexadecimal digits that no other machine has, such as those of `head -c 8 /etc/machine-id`."
    )
    (require docker.enable "applications run in Docker, so `virtualisation.docker.enable` must not be false.")
    (require (docker.daemon.settings.iptables or true)
      "Docker's own firewall keeps containers apart, so `virtualisation.docker.daemon.settings.iptables` must not be false."
    )
    (require
      (
        (docker.daemon.settings.firewall-backend or "iptables") == "iptables"
        || (docker.daemon.settings.bridge-accept-fwmark or null) == "0x2000/0x2000"
      )
      "with \"nftables\" as `firewall-backend`, Docker drops routes and links unless `virtualisation.docker.daemon.settings.bridge-accept-fwmark` is \"0x2000/0x2000\"."
    )
    (require (!isLegacy config.networking.firewall.package && !isLegacy pkgs.iptables)
      "the kernel cannot have rules of iptables-legacy beside those of nftables, which routes and links are made of; use `pkgs.iptables`."
    )
    (require (!config.networking.nftables.enable || !config.networking.nftables.flushRuleset)
      "`networking.nftables.flushRuleset` would remove Docker's rules at each reload, which only a restart of Docker brings back; put rules into `networking.nftables.tables` instead of `ruleset`."
    )
    (require (
      cfg.routablePorts == null || config.networking.nftables.enable
    ) "`routablePorts` needs `networking.nftables.enable`.")
    (require config.services.openssh.enable "operators and other nodes come over SSH, so `services.openssh.enable` must not be false.")
    (require (config.security.sudo.enable && !config.security.sudo.execWheelOnly)
      "other nodes send volumes as the user `flocker`, which becomes root for that alone by `security.sudo`; it must be enabled, and `execWheelOnly` must be off."
    )
    (require (sshd.AllowUsers or null == null || lib.any isReceiver (names sshd.AllowUsers))
      "`services.openssh.settings.AllowUsers` must name `flocker`, the user that other nodes send volumes as."
    )
    (require (!lib.any isReceiver (names (sshd.DenyUsers or null)))
      "`services.openssh.settings.DenyUsers` must not name `flocker`, the user that other nodes send volumes as."
    )
    (require (cfg.operators.keys == [ ] || sshd.PermitRootLogin != "no")
      "`operators.keys` log in as root, so `services.openssh.settings.PermitRootLogin` must not be \"no\"; name `operators.users` instead."
    )
  ];
}
