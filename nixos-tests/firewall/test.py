boot([node1, node2])
for node in [node1, node2]:
    # Both are there before anything of Flocker is, and stay.
    node.succeed("nft list table inet nixos-fw", "nft list table ip flocker-routable")
load_images(node1, ["postgresql", "trac"])
load_images(node2, ["elasticsearch"])
run_scenario("migration")
for node in [node1, node2]:
    node.succeed("systemctl reload nftables.service")
    node.succeed("nft list table ip flocker")
    node.succeed("iptables --list DOCKER-USER")
