nodes = [node1, node2, node3]
boot(nodes)
for node in nodes:
    load_images(node, ["writer"])
run_scenario("three-nodes")
