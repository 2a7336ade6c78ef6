boot([node1, node2])
run_scenario("boot")
