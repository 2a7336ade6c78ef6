//! A node's networking: routes, links, held ports and what is seen of them.
//!
//! What the firewall should contain is worked out by pure functions ([`plan_node_ruleset`],
//! [`plan_container_ruleset`], [`plan_transaction`]); the `ensure_` functions compare that with
//! the kernel and send the difference as one netlink transaction. No program is run.

mod addresses;
mod conntrack;
mod docker_firewall;
mod encode;
mod ffi;
mod kernel_parameters;
mod links;
mod listening;
mod namespace;
mod netlink;
mod program;
mod routing;
mod routing_table;
mod ruleset;
mod table_state;
mod transaction;

pub use addresses::{
    LocalAddress, ObserveAddressesError, observe_interface_address, observe_local_addresses,
};
pub use conntrack::{ForgetConnectionsError, forget_connections};
pub use docker_firewall::DockerFirewall;
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
pub use ruleset::{
    BaseChain, Chain, ChainHook, ChainKind, Elements, Rule, Ruleset, Set, Statement, Verdict,
    plan_container_ruleset, plan_node_ruleset,
};
pub use table_state::{ChainState, RuleState, SetState, TableState};
pub use transaction::{Operation, plan_transaction};
