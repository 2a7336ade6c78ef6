{
  description = "Flocker moves containers between machines, together with the data in their volumes";

  # The only input: everything else is in this repository or in nixpkgs.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      # Where only the operator's program runs.
      darwin = [ "aarch64-darwin" ];

      isLinux = system: lib.elem system linux;
      onlyLinux = system: lib.optionalAttrs (isLinux system);

      packagesOf = lib.genAttrs (linux ++ darwin) (
        system: nixpkgs.legacyPackages.${system}.extend self.overlays.default
      );
      eachSystem = make: lib.genAttrs (linux ++ darwin) (system: make system packagesOf.${system});
      eachLinux = make: lib.genAttrs linux (system: make system packagesOf.${system});

      # The configuration that is a node by itself: in the lab, and for
      # `nixos-rebuild build-vm`.
      nodeOf = {
        x86_64-linux = "node";
        aarch64-linux = "node-aarch64";
      };

      testsOf =
        system:
        import ./nixos-tests {
          inherit lib;
          pkgs = packagesOf.${system};
        };
    in
    {
      overlays.default = import ./nix/overlay.nix;

      packages = eachSystem (
        system: pkgs:
        {
          inherit (pkgs) flocker-cluster;
          default = pkgs.flocker-cluster;
        }
        // onlyLinux system {
          inherit (pkgs) flocker-node flocker-lab flocker-container-images;
          nixos-options = import ./nix/options-document.nix { inherit lib pkgs; };
          lab-image = self.nixosConfigurations.${nodeOf.${system}}.config.system.build.labImage;
        }
      );

      apps = eachSystem (
        system: pkgs:
        let
          app = program: description: {
            type = "app";
            inherit program;
            meta = { inherit description; };
          };
          ofPackage = package: app (lib.getExe package) package.meta.description;
        in
        {
          default = ofPackage pkgs.flocker-cluster;
          flocker-cluster = ofPackage pkgs.flocker-cluster;
        }
        // onlyLinux system {
          flocker-node = ofPackage pkgs.flocker-node;
          flocker-lab = ofPackage pkgs.flocker-lab;
          demo = app "${(testsOf system).migration.driver}/bin/nixos-test-driver" "Boots two NixOS nodes and moves Trac's database between them";
        }
      );

      devShells = eachSystem (_: pkgs: { default = import ./nix/shell.nix { inherit lib pkgs; }; });

      formatter = eachSystem (_: pkgs: pkgs.nixfmt-tree);

      nixosModules = {
        flocker-node = {
          imports = [ ./nix/module ];
          nixpkgs.overlays = [ self.overlays.default ];
        };
        default = self.nixosModules.flocker-node;
      };

      nixosConfigurations = lib.mapAttrs' (
        system: name:
        lib.nameValuePair name (
          lib.nixosSystem {
            modules = [
              self.nixosModules.default
              ./vm-images/nixos/node.nix
              ./vm-images/nixos/lab.nix
              { nixpkgs.hostPlatform = system; }
            ];
          }
        )
      ) nodeOf;

      # What `cargo xtask test nix` asks for, see nix/evaluation.
      lib.evaluation = eachLinux (_: pkgs: import ./nix/evaluation { inherit lib nixpkgs pkgs; });

      checks = eachLinux (
        system: pkgs:
        lib.mapAttrs' (name: lib.nameValuePair "vm-${name}") (testsOf system)
        // lib.mapAttrs' (name: lib.nameValuePair "package-${name}") self.packages.${system}
        // import ./nix/checks.nix { inherit lib pkgs self; }
      );
    };
}
