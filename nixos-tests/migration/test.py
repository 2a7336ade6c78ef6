boot([node1, node2])
load_images(node1, ["postgresql", "trac"])
load_images(node2, ["elasticsearch"])
run_scenario("migration")
