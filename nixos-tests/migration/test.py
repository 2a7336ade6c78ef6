boot([node1, node2])
both = ["echo", "postgres", "redis", "slow-stop", "web"]
load_images(node1, ["postgresql", "trac", *both])
load_images(node2, ["elasticsearch", *both])
run_scenario("migration")
