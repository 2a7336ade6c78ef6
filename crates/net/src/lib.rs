//! A node's networking: routes, links, held ports and what is seen of them.
//!
//! What the firewall should contain is worked out as data by pure functions (module `ruleset`),
//! compared with what the kernel has (`table_state`, `transaction`), and sent as one netlink
//! transaction (`encode`, `ffi`, `program`). No program is run.
//!
//! The functions block for some milliseconds at most, but for those that are `async`. All act on
//! the network namespace that the calling thread is in.

mod addresses;
pub mod answers;
mod bridge;
mod conntrack;
mod docker_firewall;
mod encode;
mod ffi;
mod firewall;
mod forwarding;
mod interfaces;
mod kernel_parameters;
mod links;
mod listening;
mod mtu;
mod namespace;
mod netlink;
mod program;
mod routing;
mod routing_table;
mod ruleset;
mod set_encoding;
mod table_state;
mod transaction;
mod watch;

pub use addresses::{
    LocalAddress, ObserveAddressesError, observe_interface_address, observe_local_addresses,
};
pub use conntrack::{ForgetConnectionsError, forget_connections, forget_strays};
pub use docker_firewall::DockerFirewall;
pub use firewall::{
    ObserveFirewallError, has_legacy_filter, legacy_rules_obstruct, observe_firewall,
};
pub use interfaces::InterfaceError;
pub use kernel_parameters::KernelParameterError;
pub use links::{EnsureLinksError, ObserveLinksError, ensure_links, observe_links};
pub use listening::{
    Listener, ObserveListenersError, observe_listeners, observe_listening_ports, parse_socket_table,
};
pub use namespace::{NamespaceError, NetworkNamespace};
pub use netlink::{NetlinkError, Refusal};
pub use routing::{
    EnsureRoutingError, EnsuredRouting, ObserveRoutingError, ensure_routing, observe_digest,
    observe_generation, observe_routing,
};
pub use routing_table::{Change, InvalidRoutingTable, RoutingTable, Target};
pub use watch::FirewallWatch;
