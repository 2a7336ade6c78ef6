//! What must hold of the nodes before anything is planned.

use std::collections::BTreeSet;

use flocker_model::{Application, FirewallObstacle, NodeObservation, Protocol};

use crate::replaced::{forgotten_machines, replaced_machines};
use crate::survey::{machines_with_several_names, unseen_reason, unusable_pool};
use crate::{BlockedKind, NodeNote, Note};

use super::state::Planner;

impl Planner<'_> {
    /// Reports what stands in the way whatever the applications are.
    pub(super) fn check_preconditions(&mut self) {
        for (id, nodes) in machines_with_several_names(self.observed) {
            self.block(BlockedKind::SameMachine { nodes, id });
        }
        for replaced in replaced_machines(self.observed) {
            self.block(replaced);
        }
        for forgotten in forgotten_machines(self.observed) {
            self.block(forgotten);
        }
        self.check_reachability();
        self.check_addresses();
        self.check_peers_addresses();
        self.check_pools();
        self.check_ports();
        self.check_firewalls();
        self.check_mountpoints();
        self.check_mounts();
        self.check_layouts();
        self.check_sharing();
    }

    /// Warns of nodes on which a power cut takes acknowledged writes from whatever does not forbid it.
    pub(super) fn note_unsafe_pools(&mut self) {
        let covered = self.observed.seen().filter(|(node, _)| {
            self.goal.deployment.nodes.contains_key(*node) && self.goal.covers(node)
        });
        let notes: Vec<NodeNote> = covered
            .filter_map(|(node, state)| {
                let dataset = state.pool.sync_disabled.clone()?;
                Some(NodeNote {
                    node: node.clone(),
                    note: Note::SyncDisabled { dataset },
                })
            })
            .collect();
        self.plan.notes.extend(notes);
    }

    /// Every node of the deployment must have been seen with all that it has; one that it omits need
    /// not have been.
    fn check_reachability(&mut self) {
        for node in self.goal.deployment.nodes.keys() {
            let reason = match self.observed.nodes.get(node) {
                Some(NodeObservation::Seen(_)) => continue,
                Some(observation) => unseen_reason(observation).unwrap_or_default(),
                None => "it was not asked".to_owned(),
            };
            if !self.goal.covers(node) {
                continue;
            }
            let node = node.clone();
            self.block(match self.observed.nodes.get(&node) {
                Some(NodeObservation::WithoutPool(poolless)) => {
                    BlockedKind::of_poolless(&node, poolless)
                }
                Some(NodeObservation::Unusable { .. }) => {
                    BlockedKind::NodeUnusable { node, reason }
                }
                _ => BlockedKind::NodeUnreachable { node, reason },
            });
        }
    }

    /// With more than one node, each must have an address at which the others reach it.
    fn check_addresses(&mut self) {
        if self.goal.deployment.nodes.len() < 2 {
            return;
        }
        for node in self.goal.deployment.nodes.keys() {
            // Of a node that lacks its pool nothing else is asked.
            let observation = self.observed.nodes.get(node);
            let lacks_pool = matches!(observation, Some(NodeObservation::WithoutPool(_)));
            if !lacks_pool && !self.addresses.contains_key(node) {
                let node = node.clone();
                self.block(BlockedKind::NoAddress { node });
            }
        }
    }

    /// A pool must work where an application with a volume is placed.
    fn check_pools(&mut self) {
        for (node, state) in self.covered() {
            let wanted = self
                .goal
                .deployment
                .placed()
                .any(|(_, application, place)| place == node && application.volume.is_some());
            if let (true, Some(unusable)) = (wanted, unusable_pool(node, state)) {
                self.block(unusable);
            }
        }
    }

    /// A routed port must be free of the nodes' own programs, sshd's 22 above all: it answers on
    /// every node.
    fn check_ports(&mut self) {
        for (node, state) in self.covered() {
            for (name, application, _) in self.goal.deployment.placed() {
                for port in application.routes.keys() {
                    let mut listening = state.listening.iter();
                    if listening.any(|taken| taken.overlaps(*port)) {
                        let kind = BlockedKind::PortTaken {
                            node: node.clone(),
                            port: *port,
                        };
                        self.block_application(name, kind);
                    }
                }
            }
        }
    }

    /// No firewall of a node may drop connections to routes and links: every port answers on every
    /// node.
    fn check_firewalls(&mut self) {
        let protocols_of = |application: &Application| -> BTreeSet<Protocol> {
            let routes = application.routes.keys().map(|port| port.port.protocol);
            let links = application.links.iter().map(|link| link.protocol);
            routes.chain(links).collect()
        };
        let placed = self.goal.deployment.placed();
        let used: BTreeSet<Protocol> = placed.flat_map(|(_, it, _)| protocols_of(it)).collect();
        for (node, state) in self.serving() {
            let hinders = |it: &&FirewallObstacle| used.iter().any(|protocol| it.drops(*protocol));
            for obstacle in state.firewall.iter().filter(hinders) {
                self.block(BlockedKind::FirewallDrops {
                    node: node.clone(),
                    obstacle: obstacle.clone(),
                });
            }
        }
    }

    /// The place of a volume must be free where it is to be mounted: no application is stopped for
    /// a move that could not end.
    fn check_mountpoints(&mut self) {
        for (node, state) in self.covered() {
            for (name, application, place) in self.goal.deployment.placed() {
                if place != node || application.volume.is_none() {
                    continue;
                }
                if let Some(obstruction) = state.obstructed.get(name) {
                    let kind = BlockedKind::PlaceObstructed {
                        node: node.clone(),
                        obstruction: obstruction.clone(),
                    };
                    self.block_application(name, kind);
                }
            }
        }
    }
}
