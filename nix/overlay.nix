# What Flocker adds to nixpkgs.
final: _: {
  flocker-cluster = final.callPackage ./package.nix {
    pname = "flocker-cluster";
    description = "Deploys applications to the nodes of a Flocker cluster";
    hasCompletions = true;
    supportedPlatforms = with final.lib.platforms; linux ++ darwin;
  };

  # `zfs` is an argument so that a node can give the one that fits its kernel.
  flocker-node = final.callPackage (
    {
      callPackage,
      pkg-config,
      libmnl,
      libnftnl,
      zfs,
      # Lets tests hold the program at named places (crates/failpoint).
      hasFailpoints ? false,
    }:
    callPackage ./package.nix {
      pname = "flocker-node";
      description = "Keeps the volumes, containers, routes and links of one node of a Flocker cluster";
      hasCompletions = true;
      cargoFeatures = if hasFailpoints then [ "failpoints" ] else [ ];
      nativeBuildInputs = [ pkg-config ];
      buildInputs = [
        libmnl
        libnftnl
        zfs
      ];
    }
  ) { };

  flocker-lab = final.callPackage ./lab.nix { };

  flocker-container-images = final.callPackage ../vm-images/nixos/container-images.nix { };
}
