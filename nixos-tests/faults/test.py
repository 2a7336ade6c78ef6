boot([node1, node2])
for node in [node1, node2]:
    load_images(node, ["writer"])
run_scenario("faults")
