boot([node1, node2])
official = ["postgres", "redis", "slow-stop", "web"]
load_images(node1, ["postgresql", "trac", *official])
load_images(node2, ["elasticsearch", *official])
run_scenario("migration")
