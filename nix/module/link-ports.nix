# The ports that links use between nodes: `LINK_PORT_RANGE` in
# crates/plan/src/link_ports.rs.
{
  from = 24000;
  to = 28999;
}
