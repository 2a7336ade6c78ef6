//! From rules as data to the kernel's expressions.
//!
//! **Source**: `linux/netfilter/nf_tables.h`; what `nft --debug=netlink` prints for the same text.

use flocker_model::Protocol;
use nftnl::nftnl_sys as sys;
use nftnl::nftnl_sys::libc;

use crate::ffi::Expression;
use crate::ruleset::{BaseChain, ChainHook, KeyPart, Lookup, Rejection, Rule, Statement, Verdict};
use crate::set_encoding::ProtocolNumber as _;
use crate::table_state::BaseState;

/// The verdict register.
const VERDICT_REGISTER: u32 = libc::NFT_REG_VERDICT as u32;
/// First 16-byte register: the same storage as the four 32-bit registers from [`FIRST_WORD`].
const FIRST: u32 = libc::NFT_REG_1 as u32;
/// Second 16-byte register, which shares nothing with the first.
const SECOND: u32 = libc::NFT_REG_2 as u32;
/// First 32-bit register (`NFT_REG32_00`).
const FIRST_WORD: u32 = 8;
/// Second 32-bit register (`NFT_REG32_01`): the port of an address and port looked up into [`FIRST`].
const SECOND_WORD: u32 = 9;

const FIB_RESULT_ADDRESS_TYPE: u32 = 3;
const FIB_OF_DESTINATION: u32 = 1 << 1;
/// `RTN_LOCAL`.
const ROUTE_TYPE_LOCAL: u32 = 2;
/// `established` and `related` (`NF_CT_STATE_BIT`).
const STATES_ANSWERED: u32 = 2 | 4;
/// `IPS_DST_NAT`.
const STATUS_REDIRECTED: u32 = 1 << 5;
/// `NFT_REJECT_ICMP_UNREACH`.
const REJECT_ICMP: u32 = 0;
/// `NFT_REJECT_TCP_RST`.
const REJECT_TCP_RESET: u32 = 1;
/// `ICMP_PORT_UNREACH`.
const ICMP_PORT_UNREACHABLE: u8 = 3;
const TCP_FLAGS_OF_INTEREST: u8 = 0x17;
const TCP_FLAG_SYN: u8 = 0x02;
const LOOPBACK_MASK: [u8; 4] = [255, 0, 0, 0];
const LOOPBACK_NETWORK: [u8; 4] = [127, 0, 0, 0];
/// `IFNAMSIZ`.
const INTERFACE_NAME_SIZE: usize = 16;

const IP_SOURCE: Field = Field::network(12, 4);
const IP_DESTINATION: Field = Field::network(16, 4);
const DESTINATION_PORT: Field = Field::transport(2, 2);
const TCP_FLAGS: Field = Field::transport(13, 1);

struct Field {
    base: u32,
    offset: u32,
    length: u32,
}

impl Field {
    const fn network(offset: u32, length: u32) -> Self {
        Self {
            base: libc::NFT_PAYLOAD_NETWORK_HEADER as u32,
            offset,
            length,
        }
    }

    const fn transport(offset: u32, length: u32) -> Self {
        Self {
            base: libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32,
            offset,
            length,
        }
    }
}

/// Returns a rule's expressions.
pub(crate) fn expressions(rule: &Rule) -> Vec<Expression> {
    rule.statements.iter().flat_map(encode_statement).collect()
}

/// Returns the kernel's names of a rule's expressions.
pub(crate) fn expression_names(rule: &Rule) -> Vec<String> {
    expressions(rule)
        .iter()
        .map(|expression| expression.name().to_owned())
        .collect()
}

/// The rule in DOCKER-USER: `-m mark --mark BIT/BIT -j ACCEPT`, as iptables-nft 1.8.9 and 1.8.11
/// write it, counter included. Anything that iptables could not have written makes every later
/// iptables call fail, Docker's too.
pub(crate) fn accept_marked(bits: u32) -> Vec<Expression> {
    let mut expressions = masked_equals(load_meta(libc::NFT_META_MARK, FIRST), bits);
    expressions.push(
        Expression::new(c"counter")
            .u64(sys::NFTNL_EXPR_CTR_BYTES, 0)
            .u64(sys::NFTNL_EXPR_CTR_PACKETS, 0),
    );
    expressions.push(verdict(Verdict::Accept));
    expressions
}

fn encode_statement(statement: &Statement) -> Vec<Expression> {
    match statement {
        Statement::ArrivedAt(name) => interface(libc::NFT_META_IIFNAME, libc::NFT_CMP_EQ, name),
        Statement::ArrivedElsewhereThan(name) => {
            interface(libc::NFT_META_IIFNAME, libc::NFT_CMP_NEQ, name)
        }
        Statement::LeavesBy(name) => interface(libc::NFT_META_OIFNAME, libc::NFT_CMP_EQ, name),
        Statement::LeavesElsewhereThan(name) => {
            interface(libc::NFT_META_OIFNAME, libc::NFT_CMP_NEQ, name)
        }
        Statement::FromLoopback => loopback(&IP_SOURCE),
        Statement::ToLoopback => loopback(&IP_DESTINATION),
        Statement::To(address) => vec![payload(&IP_DESTINATION), equals(&address.octets())],
        Statement::ToLocalAddress => to_local_address(),
        Statement::OpensConnection => opens_connection(),
        Statement::Is(protocol) => is_protocol(*protocol),
        Statement::In(lookup) => {
            let mut expressions = load_key(lookup.key);
            expressions.push(in_set(lookup.set));
            expressions
        }
        Statement::NotIn(lookup) => {
            let mut expressions = load_key(lookup.key);
            let inverted = number(libc::NFT_LOOKUP_F_INV);
            expressions.push(in_set(lookup.set).u32(sys::NFTNL_EXPR_LOOKUP_FLAGS, inverted));
            expressions
        }
        Statement::LeadsSomewhere(lookup) => look_up(lookup),
        Statement::Established => any_bit(libc::NFT_CT_STATE, STATES_ANSWERED),
        Statement::Redirected => any_bit(libc::NFT_CT_STATUS, STATUS_REDIRECTED),
        Statement::ConnectionMarked(bits) => {
            masked_equals(load_tracked(libc::NFT_CT_MARK, FIRST), *bits)
        }
        Statement::MarkPacket(bits) => vec![
            load_meta(libc::NFT_META_MARK, FIRST),
            set_bits(FIRST, *bits),
            Expression::new(c"meta")
                .u32(sys::NFTNL_EXPR_META_KEY, number(libc::NFT_META_MARK))
                .u32(sys::NFTNL_EXPR_META_SREG, FIRST),
        ],
        Statement::RedirectThrough { lookup, mark } => redirect(lookup, *mark),
        Statement::Masquerade => vec![Expression::new(c"masq")],
        Statement::Reject(rejection) => vec![reject(*rejection)],
        Statement::Decide(decision) => vec![verdict(*decision)],
    }
}

/// Constants of the C headers are signed in Rust's `libc`; all used here are small and positive.
const fn number(constant: libc::c_int) -> u32 {
    constant.unsigned_abs()
}

fn interface(key: libc::c_int, comparison: libc::c_int, name: &str) -> Vec<Expression> {
    let mut padded = [0; INTERFACE_NAME_SIZE];
    for (slot, byte) in padded.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    vec![load_meta(key, FIRST), compare(comparison, &padded)]
}

fn loopback(field: &Field) -> Vec<Expression> {
    vec![
        payload(field),
        bitwise(FIRST, &LOOPBACK_MASK, &[0; 4]),
        equals(&LOOPBACK_NETWORK),
    ]
}

fn to_local_address() -> Vec<Expression> {
    vec![
        Expression::new(c"fib")
            .u32(sys::NFTNL_EXPR_FIB_RESULT, FIB_RESULT_ADDRESS_TYPE)
            .u32(sys::NFTNL_EXPR_FIB_FLAGS, FIB_OF_DESTINATION)
            .u32(sys::NFTNL_EXPR_FIB_DREG, FIRST),
        equals(&ROUTE_TYPE_LOCAL.to_ne_bytes()),
    ]
}

fn is_protocol(protocol: Protocol) -> Vec<Expression> {
    vec![
        load_meta(libc::NFT_META_L4PROTO, FIRST),
        equals(&[protocol.number()]),
    ]
}

/// Loads the parts of a key, each into a 32-bit register of its own.
fn load_key(parts: &[KeyPart]) -> Vec<Expression> {
    let load = |(part, register): (&KeyPart, u32)| match part {
        KeyPart::Destination => payload_into(&IP_DESTINATION, register),
        KeyPart::Source => payload_into(&IP_SOURCE, register),
        KeyPart::Protocol => load_meta(libc::NFT_META_L4PROTO, register),
        KeyPart::Port => payload_into(&DESTINATION_PORT, register),
    };
    parts.iter().zip(FIRST_WORD..).map(load).collect()
}

/// Looks a key up in a map, and keeps what it leads to in [`FIRST`]; does not match when the map has
/// nothing for it.
fn look_up(lookup: &Lookup) -> Vec<Expression> {
    let mut expressions = load_key(lookup.key);
    expressions.push(in_set(lookup.set).u32(sys::NFTNL_EXPR_LOOKUP_DREG, FIRST));
    expressions
}

fn opens_connection() -> Vec<Expression> {
    let mut expressions = is_protocol(Protocol::Tcp);
    expressions.extend([
        payload(&TCP_FLAGS),
        bitwise(FIRST, &[TCP_FLAGS_OF_INTEREST], &[0]),
        equals(&[TCP_FLAG_SYN]),
    ]);
    expressions
}

/// Looks the port up before setting the mark, so that only connections that the map knows get one.
fn redirect(lookup: &Lookup, mark: u32) -> Vec<Expression> {
    let mut expressions = look_up(lookup);
    if mark != 0 {
        expressions.extend([
            load_tracked(libc::NFT_CT_MARK, SECOND),
            set_bits(SECOND, mark),
            Expression::new(c"ct")
                .u32(sys::NFTNL_EXPR_CT_KEY, number(libc::NFT_CT_MARK))
                .u32(sys::NFTNL_EXPR_CT_SREG, SECOND),
        ]);
    }
    expressions.push(
        Expression::new(c"nat")
            .u32(sys::NFTNL_EXPR_NAT_TYPE, number(libc::NFT_NAT_DNAT))
            .u32(sys::NFTNL_EXPR_NAT_FAMILY, number(libc::NFPROTO_IPV4))
            .u32(sys::NFTNL_EXPR_NAT_REG_ADDR_MIN, FIRST)
            .u32(sys::NFTNL_EXPR_NAT_REG_PROTO_MIN, SECOND_WORD),
    );
    expressions
}

fn load_meta(key: libc::c_int, register: u32) -> Expression {
    Expression::new(c"meta")
        .u32(sys::NFTNL_EXPR_META_KEY, number(key))
        .u32(sys::NFTNL_EXPR_META_DREG, register)
}

fn load_tracked(key: libc::c_int, register: u32) -> Expression {
    Expression::new(c"ct")
        .u32(sys::NFTNL_EXPR_CT_KEY, number(key))
        .u32(sys::NFTNL_EXPR_CT_DREG, register)
}

fn payload(field: &Field) -> Expression {
    payload_into(field, FIRST)
}

fn payload_into(field: &Field, register: u32) -> Expression {
    Expression::new(c"payload")
        .u32(sys::NFTNL_EXPR_PAYLOAD_DREG, register)
        .u32(sys::NFTNL_EXPR_PAYLOAD_BASE, field.base)
        .u32(sys::NFTNL_EXPR_PAYLOAD_OFFSET, field.offset)
        .u32(sys::NFTNL_EXPR_PAYLOAD_LEN, field.length)
}

fn in_set(set: &'static str) -> Expression {
    Expression::new(c"lookup")
        .u32(sys::NFTNL_EXPR_LOOKUP_SREG, FIRST)
        .text(sys::NFTNL_EXPR_LOOKUP_SET, set)
}

fn compare(comparison: libc::c_int, value: &[u8]) -> Expression {
    Expression::new(c"cmp")
        .u32(sys::NFTNL_EXPR_CMP_SREG, FIRST)
        .u32(sys::NFTNL_EXPR_CMP_OP, number(comparison))
        .bytes(sys::NFTNL_EXPR_CMP_DATA, value)
}

fn equals(value: &[u8]) -> Expression {
    compare(libc::NFT_CMP_EQ, value)
}

/// `register = (register & mask) ^ toggle`
fn bitwise(register: u32, mask: &[u8], toggle: &[u8]) -> Expression {
    let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
    Expression::new(c"bitwise")
        .u32(sys::NFTNL_EXPR_BITWISE_SREG, register)
        .u32(sys::NFTNL_EXPR_BITWISE_DREG, register)
        .u32(sys::NFTNL_EXPR_BITWISE_LEN, length)
        .bytes(sys::NFTNL_EXPR_BITWISE_MASK, mask)
        .bytes(sys::NFTNL_EXPR_BITWISE_XOR, toggle)
}

fn set_bits(register: u32, bits: u32) -> Expression {
    bitwise(register, &(!bits).to_ne_bytes(), &bits.to_ne_bytes())
}

fn any_bit(key: libc::c_int, bits: u32) -> Vec<Expression> {
    vec![
        load_tracked(key, FIRST),
        bitwise(FIRST, &bits.to_ne_bytes(), &[0; 4]),
        compare(libc::NFT_CMP_NEQ, &[0; 4]),
    ]
}

fn masked_equals(load: Expression, bits: u32) -> Vec<Expression> {
    vec![
        load,
        bitwise(FIRST, &bits.to_ne_bytes(), &[0; 4]),
        equals(&bits.to_ne_bytes()),
    ]
}

fn reject(rejection: Rejection) -> Expression {
    let (kind, code) = match rejection {
        Rejection::TcpReset => (REJECT_TCP_RESET, 0),
        Rejection::PortUnreachable => (REJECT_ICMP, ICMP_PORT_UNREACHABLE),
    };
    Expression::new(c"reject")
        .u32(sys::NFTNL_EXPR_REJECT_TYPE, kind)
        .bytes(sys::NFTNL_EXPR_REJECT_CODE, &[code])
}

fn verdict(verdict: Verdict) -> Expression {
    let code = match verdict {
        Verdict::Accept => libc::NF_ACCEPT,
        Verdict::Drop => libc::NF_DROP,
        Verdict::Return => libc::NFT_RETURN,
    };
    Expression::new(c"immediate")
        .u32(sys::NFTNL_EXPR_IMM_DREG, VERDICT_REGISTER)
        .u32(sys::NFTNL_EXPR_IMM_VERDICT, code.cast_unsigned())
}

impl ChainHook {
    /// Returns the kernel's number.
    const fn hook_number(self) -> u32 {
        number(match self {
            Self::Prerouting => libc::NF_INET_PRE_ROUTING,
            Self::Input => libc::NF_INET_LOCAL_IN,
            Self::Forward => libc::NF_INET_FORWARD,
            Self::Output => libc::NF_INET_LOCAL_OUT,
            Self::Postrouting => libc::NF_INET_POST_ROUTING,
        })
    }
}

impl BaseChain {
    /// Returns what the kernel should answer about such a chain.
    pub(crate) fn expected_state(self) -> BaseState {
        BaseState {
            kind: self.kind.name().to_owned(),
            hook: self.hook.hook_number(),
            priority: self.priority,
            policy: number(libc::NF_ACCEPT),
        }
    }
}
