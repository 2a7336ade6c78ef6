//! From operations to one netlink transaction.

use std::ffi::CString;

use nftnl::{Chain, ChainType, Hook, MsgType, Policy, ProtoFamily, Rule, Table};

use crate::docker_firewall::{self, Edit};
use crate::encode::{accept_marked, expressions};
use crate::ffi::{Inserted, NamedSet, SetElements};
use crate::netlink::{Netlink, NetlinkError, Transaction};
use crate::ruleset::{self, BaseChain, ChainHook, ChainKind, OWN_MARK, Set, TABLE};
use crate::set_encoding::element_pairs;
use crate::transaction::Operation;

/// Carries out the operations, all or none.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn run_operations(
    netlink: &Netlink,
    operations: &[Operation<'_>],
) -> Result<(), NetlinkError> {
    let table = Table::new(c_string(TABLE), ProtoFamily::Ipv4);
    let mut transaction = Transaction::new();
    let mut encoder = Encoder {
        table: &table,
        transaction: &mut transaction,
        sets: 0,
    };
    for operation in operations {
        encoder.add(operation);
    }
    transaction.commit(netlink)
}

struct Encoder<'a> {
    table: &'a Table,
    transaction: &'a mut Transaction,
    /// Sets described so far: each needs its own number within the batch.
    sets: u32,
}

impl Encoder<'_> {
    fn add(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::EnsureTable => {
                let table = self.table;
                self.transaction
                    .add("make the table".to_owned(), table, MsgType::Add);
            }
            Operation::FlushChain(name) => self.flush_chain(name),
            Operation::DeleteChain(name) => {
                let chain = Chain::new(c_string(name), self.table);
                self.transaction
                    .add(format!("remove chain {name}"), &chain, MsgType::Del);
            }
            Operation::DeleteSet(name) => {
                let set = NamedSet::named(&c_string(TABLE), &c_string(name));
                self.transaction
                    .add(format!("remove set {name}"), &set, MsgType::Del);
            }
            Operation::EnsureChain(chain) => self.ensure_chain(chain),
            Operation::EnsureSet(set) => self.ensure_set(set),
            Operation::FlushSet(set) => {
                let elements = SetElements::new(&c_string(TABLE), &c_string(set.name), &[]);
                self.transaction
                    .add(format!("empty set {}", set.name), &elements, MsgType::Del);
            }
            Operation::AddElements(set) => self.add_elements(set),
            Operation::AppendRule(chain, rule) => self.append_rule(chain, rule),
            Operation::EditDockerChain(chain, edit) => self.edit_docker_chain(chain, *edit),
        }
    }

    fn flush_chain(&mut self, name: &str) {
        let chain = Chain::new(c_string(name), self.table);
        let any_rule = Rule::new(&chain);
        self.transaction
            .add(format!("empty chain {name}"), &any_rule, MsgType::Del);
    }

    fn ensure_chain(&mut self, chain: &ruleset::Chain) {
        let mut message = Chain::new(c_string(chain.name), self.table);
        if let Some(base) = &chain.base {
            set_base(&mut message, *base);
        }
        self.transaction
            .add(format!("make chain {}", chain.name), &message, MsgType::Add);
    }

    fn ensure_set(&mut self, set: &Set) {
        self.sets += 1;
        let (table, name) = (c_string(TABLE), c_string(set.name));
        let message = NamedSet::new(&table, &name, self.sets, &set.elements);
        self.transaction
            .add(format!("make set {}", set.name), &message, MsgType::Add);
    }

    fn add_elements(&mut self, set: &Set) {
        let pairs = element_pairs(&set.elements);
        for some in pairs.chunks(SetElements::MOST) {
            let message = SetElements::new(&c_string(TABLE), &c_string(set.name), some);
            let label = format!("put {} elements into set {}", some.len(), set.name);
            self.transaction.add(label, &message, MsgType::Add);
        }
    }

    fn append_rule(&mut self, chain: &ruleset::Chain, rule: &ruleset::Rule) {
        let parent = Chain::new(c_string(chain.name), self.table);
        let mut message = Rule::new(&parent);
        for expression in expressions(rule) {
            message.add_expr(&expression);
        }
        // Comments are shorter than the 127 bytes that fit: all are ours, and what goes into the
        // marker is checked by `RoutingTable::validate`.
        let _ = message.set_comment(c_string(&rule.comment));
        let label = format!("put rule \"{}\" into chain {}", rule.comment, chain.name);
        self.transaction.add(label, &message, MsgType::Add);
    }

    fn edit_docker_chain(&mut self, name: &str, edit: Edit) {
        let table = Table::new(c_string(docker_firewall::TABLE), ProtoFamily::Ipv4);
        let chain = Chain::new(c_string(name), &table);
        let mut rule = Rule::new(&chain);
        if let Edit::Remove(handle) = edit {
            rule.set_handle(handle);
            let label = format!("take our rule out of {name}");
            return self.transaction.add(label, &rule, MsgType::Del);
        }
        for expression in accept_marked(OWN_MARK) {
            rule.add_expr(&expression);
        }
        let label = format!("put our rule into {name}");
        if let Edit::InsertBefore(handle) = edit {
            rule.set_position(handle);
            self.transaction.add(label, &Inserted(rule), MsgType::Add);
        } else {
            self.transaction.add(label, &rule, MsgType::Add);
        }
    }
}

fn set_base(chain: &mut Chain<'_>, base: BaseChain) {
    chain.set_type(match base.kind {
        ChainKind::Filter => ChainType::Filter,
        ChainKind::Nat => ChainType::Nat,
    });
    let hook = match base.hook {
        ChainHook::Prerouting => Hook::PreRouting,
        ChainHook::Input => Hook::In,
        ChainHook::Forward => Hook::Forward,
        ChainHook::Output => Hook::Out,
        ChainHook::Postrouting => Hook::PostRouting,
    };
    chain.set_hook(hook, base.priority);
    chain.set_policy(Policy::Accept);
}

/// Names here are the crate's own or the kernel's; none has a NUL.
fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}
