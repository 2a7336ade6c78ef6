# Who may come over SSH, and what they may do then.
{ config, lib, ... }:
let
  inherit (lib) mkAfter mkDefault mkIf;
  cfg = config.services.flocker.node;
  program = "/run/current-system/sw/bin/flocker-node";

  # The same text as in the Debian package.
  sshdConfiguration = lib.replaceStrings [ "/var/lib/flocker" ] [ cfg.stateDirectory ] (
    builtins.readFile ../../crates/node/packaging/sshd.conf
  );
in
{
  config = mkIf cfg.enable {
    services.openssh = {
      enable = mkDefault true;
      # Last, because it applies to what comes after it until `Match all`.
      extraConfig = mkAfter sshdConfiguration;
    };

    # Other nodes send volumes as this user. It has no password, and its keys, of
    # which flocker-node keeps one for each node, have a forced command.
    users.groups.flocker = { };
    users.users.flocker = {
      isSystemUser = true;
      group = "flocker";
      description = "Flocker, receives volumes";
      home = cfg.stateDirectory;
      createHome = false;
      # sshd runs the forced command by it.
      shell = "/bin/sh";
    };

    users.users.root.openssh.authorizedKeys.keys = cfg.operators.keys;

    security.sudo = {
      extraRules = [
        {
          users = [ "flocker" ];
          runAs = "root";
          commands = [
            {
              # With the sender's id, and no other option.
              command = "${program} ^receive [0-9a-f-]{36}$";
              options = [ "NOPASSWD" ];
            }
          ];
        }
      ]
      ++ lib.optional (cfg.operators.users != [ ]) {
        inherit (cfg.operators) users;
        runAs = "root";
        commands = [
          {
            command = program;
            options = [ "NOPASSWD" ];
          }
        ];
      };
      extraConfig = ''
        Defaults:flocker !requiretty, !use_pty
      '';
    };
  };
}
