pkgs: {
  snakeOilEd25519PrivateKey = pkgs.writeText "private-key" "";
  snakeOilEd25519PublicKey = "ssh-ed25519 AAAA";
}
