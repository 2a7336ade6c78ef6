//! Every order in which a few operators and nodes can come to hear of each other.
//!
//! What the model knows of nodes and operators is what the module's rules say; what a node decides is
//! [`turn`] itself, and in the tests of this model a rule that is wrong.

use std::collections::{HashSet, VecDeque};

use super::super::version::Speaks;
use super::*;

type Rule = fn(&Begin, &LockHolder) -> Turn;

/// For what an operator asks, and what it cannot reach. The operators' order is that of their
/// numbers.
#[derive(Debug, Clone)]
struct Wish {
    /// The nodes that are asked at once, then those that these remember, and so on.
    rounds: Vec<Vec<usize>>,
    out_of_reach: Vec<usize>,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// One operator is killed, at any time.
    kills: bool,
    /// Those who wait may have waited too long at any time.
    expires: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Up {
    Begin,
    GoOn,
    End,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Down {
    Given,
    Refused,
    NoAnswer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Serving {
    Nobody,
    Waiting,
    Holding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Standing {
    Asking,
    GoesOn,
    GaveWay,
    Killed,
}

/// One operator's session with one node, and what is under way between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    up: VecDeque<Up>,
    down: VecDeque<Down>,
    serving: Serving,
    is_answered: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Operator {
    standing: Standing,
    round: usize,
    sessions: Vec<Session>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    operators: Vec<Operator>,
    locks: Vec<Option<(usize, LockPurpose)>>,
}

fn begin(operator: usize) -> Begin {
    Begin {
        speaks: Speaks::ours(),
        operator: String::new(),
        session: operator.to_string(),
        started: operator as u64,
        exclusive: true,
    }
}

fn holder(operator: usize, purpose: LockPurpose) -> LockHolder {
    LockHolder {
        purpose,
        operator: String::new(),
        session: operator.to_string(),
        started: operator as u64,
        since: 0,
        process: 0,
    }
}

/// A few operators and nodes.
struct Model<'a> {
    wishes: &'a [Wish],
    nodes: usize,
    rule: Rule,
    trouble: Trouble,
}

impl Model<'_> {
    /// Visits every state that there is, and returns those in which nothing more happens.
    fn endings(&self) -> Vec<State> {
        let mut first = State {
            operators: vec![
                Operator {
                    standing: Standing::Asking,
                    round: 0,
                    sessions: vec![
                        Session {
                            up: VecDeque::new(),
                            down: VecDeque::new(),
                            serving: Serving::Nobody,
                            is_answered: false,
                        };
                        self.nodes
                    ],
                };
                self.wishes.len()
            ],
            locks: vec![None; self.nodes],
        };
        for operator in 0..self.wishes.len() {
            self.ask(&mut first, operator);
        }
        let (mut seen, mut left, mut endings) = (HashSet::new(), vec![first], Vec::new());
        while let Some(state) = left.pop() {
            self.check_always(&state);
            let next = self.next(&state);
            if next.is_empty() {
                endings.push(state);
                continue;
            }
            left.extend(next.into_iter().filter(|next| seen.insert(next.clone())));
        }
        endings
    }

    fn check_always(&self, state: &State) {
        for node in 0..self.nodes {
            let on_it = |operator: &&Operator| {
                operator.standing == Standing::GoesOn
                    && operator.sessions[node].serving == Serving::Holding
            };
            let going_on = state.operators.iter().filter(on_it).count();
            assert!(going_on <= 1, "two go on with node {node}: {state:#?}");
        }
    }

    /// Everything that can happen next.
    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        let was_killed = |operator: &Operator| operator.standing == Standing::Killed;
        let may_kill = self.trouble.kills && !state.operators.iter().any(was_killed);
        for operator in 0..self.wishes.len() {
            let standing = state.operators[operator].standing;
            if may_kill && matches!(standing, Standing::Asking | Standing::GoesOn) {
                let mut killed = state.clone();
                Self::leave(&mut killed, operator, Standing::Killed);
                next.push(killed);
            }
            for node in 0..self.nodes {
                let session = &state.operators[operator].sessions[node];
                if !session.up.is_empty() {
                    let mut after = state.clone();
                    self.hear(&mut after, operator, node);
                    next.push(after);
                }
                if !session.down.is_empty() {
                    let mut after = state.clone();
                    self.answered(&mut after, operator, node);
                    next.push(after);
                }
                if session.serving == Serving::Waiting {
                    let mut after = state.clone();
                    self.look(&mut after, operator, node);
                    if after != *state {
                        next.push(after);
                    }
                    if self.trouble.expires {
                        let mut after = state.clone();
                        refuse(&mut after.operators[operator].sessions[node]);
                        next.push(after);
                    }
                }
            }
        }
        next
    }

    /// An operator asks all nodes of its next round, or goes on when there is none.
    fn ask(&self, state: &mut State, number: usize) {
        let (wish, operator) = (&self.wishes[number], &mut state.operators[number]);
        let Some(round) = wish.rounds.get(operator.round) else {
            operator.standing = Standing::GoesOn;
            for (node, session) in operator.sessions.iter_mut().enumerate() {
                if session.is_answered && !wish.out_of_reach.contains(&node) {
                    session.up.push_back(Up::GoOn);
                }
            }
            return;
        };
        for node in round {
            let session = &mut operator.sessions[*node];
            if wish.out_of_reach.contains(node) {
                session.down.push_back(Down::NoAnswer);
            } else {
                session.up.push_back(Up::Begin);
            }
        }
    }

    /// A node hears what an operator said.
    fn hear(&self, state: &mut State, operator: usize, node: usize) {
        let session = &mut state.operators[operator].sessions[node];
        match session.up.pop_front() {
            Some(Up::Begin) => {
                session.serving = Serving::Waiting;
                self.look(state, operator, node);
            }
            Some(Up::GoOn) => state.locks[node] = Some((operator, LockPurpose::Deploy)),
            Some(Up::End) => {
                if session.serving == Serving::Holding {
                    state.locks[node] = None;
                }
                session.serving = Serving::Nobody;
            }
            None => {}
        }
    }

    /// A node looks whether a session that waits can have the lock.
    fn look(&self, state: &mut State, operator: usize, node: usize) {
        let session = &mut state.operators[operator].sessions[node];
        match state.locks[node] {
            None => {
                state.locks[node] = Some((operator, LockPurpose::Begin));
                session.serving = Serving::Holding;
                session.down.push_back(Down::Given);
            }
            Some((other, purpose)) => {
                match (self.rule)(&begin(operator), &holder(other, purpose)) {
                    Turn::Refused => refuse(session),
                    Turn::First | Turn::AfterTheNode | Turn::AfterItself => {}
                }
            }
        }
    }

    /// An operator hears what a node answered.
    fn answered(&self, state: &mut State, number: usize, node: usize) {
        let operator = &mut state.operators[number];
        let answer = operator.sessions[node].down.pop_front();
        if operator.standing != Standing::Asking {
            return;
        }
        if answer == Some(Down::Refused) {
            Self::leave(state, number, Standing::GaveWay);
            return;
        }
        operator.sessions[node].is_answered = true;
        let round = &self.wishes[number].rounds[operator.round];
        if round
            .iter()
            .all(|node| operator.sessions[*node].is_answered)
        {
            operator.round += 1;
            self.ask(state, number);
        }
    }

    /// An operator leaves, by itself or not; what it had said before still arrives.
    fn leave(state: &mut State, operator: usize, standing: Standing) {
        let operator = &mut state.operators[operator];
        operator.standing = standing;
        for session in &mut operator.sessions {
            session.up.push_back(Up::End);
        }
    }
}

fn refuse(session: &mut Session) {
    session.serving = Serving::Nobody;
    session.down.push_back(Down::Refused);
}

/// Counts those who go on at an ending, at which everybody must have come to one.
fn going_on(ending: &State) -> usize {
    let standing = |wanted| move |operator: &&Operator| operator.standing == wanted;
    let operators = || ending.operators.iter();
    assert_eq!(
        operators().filter(standing(Standing::Asking)).count(),
        0,
        "somebody waits for ever: {ending:#?}"
    );
    for lock in ending.locks.iter().flatten() {
        let standing = ending.operators[lock.0].standing;
        assert_eq!(standing, Standing::GoesOn, "a lock is left: {ending:#?}");
    }
    operators().filter(standing(Standing::GoesOn)).count()
}

/// What an operator can want of one node: nothing, to reach it, or that it is out of reach.
const WANTED: usize = 3;

/// All that two operators can ask for at once. Nodes have no order in this, so that what differs
/// only in which node is which is there once.
fn pairs(nodes: usize) -> Vec<[Wish; 2]> {
    let mut pairs = Vec::new();
    let mut wanted = vec![0; nodes];
    loop {
        let wish = |of: &dyn Fn(usize) -> usize| {
            let asked = (0..nodes).filter(|node| of(wanted[*node]) > 0);
            let unreached = (0..nodes).filter(|node| of(wanted[*node]) == 2);
            Wish {
                rounds: vec![asked.collect()],
                out_of_reach: unreached.collect(),
            }
        };
        let pair = [wish(&|both| both / WANTED), wish(&|both| both % WANTED)];
        if pair.iter().all(Wish::reaches_any) {
            pairs.push(pair);
        }
        let Some(place) = wanted.iter().rposition(|both| both + 1 < WANTED * WANTED) else {
            return pairs;
        };
        let next = wanted[place] + 1;
        wanted[place..].fill(next);
    }
}

/// All orders in which an operator can come to know of nodes, one after the other or two at once.
fn successive(nodes: usize) -> Vec<Wish> {
    let mut all = Vec::new();
    for first in 0..nodes {
        let others: Vec<usize> = (0..nodes).filter(|node| *node != first).collect();
        let reversed: Vec<usize> = others.iter().rev().copied().collect();
        for rounds in [
            vec![vec![first], others.clone()],
            vec![others.clone(), vec![first]],
            [first]
                .iter()
                .chain(&others)
                .map(|node| vec![*node])
                .collect(),
            [first]
                .iter()
                .chain(&reversed)
                .map(|node| vec![*node])
                .collect(),
        ] {
            all.push(Wish {
                rounds,
                out_of_reach: Vec::new(),
            });
        }
    }
    all
}

impl Wish {
    fn reaches(&self, node: usize) -> bool {
        self.rounds.iter().flatten().any(|asked| *asked == node)
            && !self.out_of_reach.contains(&node)
    }

    fn reaches_any(&self) -> bool {
        self.rounds.iter().flatten().any(|node| self.reaches(*node))
    }

    fn meets(&self, other: &Self) -> bool {
        let mut asked = self.rounds.iter().flatten();
        asked.any(|node| self.reaches(*node) && other.reaches(*node))
    }
}

/// How many went on, in the worst and in the best ending.
fn fewest_and_most(
    wishes: &[Wish],
    nodes: usize,
    (rule, trouble): (Rule, Trouble),
) -> (usize, usize) {
    let model = Model {
        wishes,
        nodes,
        rule,
        trouble,
    };
    let counts: Vec<usize> = model.endings().iter().map(going_on).collect();
    (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
}

const QUIET: Trouble = Trouble {
    kills: false,
    expires: false,
};

#[test]
fn of_two_operators_who_meet_exactly_one_goes_on() {
    for pair in pairs(3) {
        let expected = if pair[0].meets(&pair[1]) {
            (1, 1)
        } else {
            (2, 2)
        };
        let counts = fewest_and_most(&pair, 3, (turn, QUIET));
        assert_eq!(counts, expected, "{pair:?}");
    }
}

#[test]
fn nodes_that_become_known_late_make_no_difference() {
    let wishes = successive(3);
    for first in &wishes {
        for second in &wishes {
            let pair = [first.clone(), second.clone()];
            let counts = fewest_and_most(&pair, 3, (turn, QUIET));
            assert_eq!(counts, (1, 1), "{pair:?}");
        }
    }
}

#[test]
fn of_three_operators_at_least_one_goes_on() {
    let both = Wish {
        rounds: vec![vec![0, 1]],
        out_of_reach: Vec::new(),
    };
    let each = [both.clone(), both.clone(), both];
    assert_eq!(fewest_and_most(&each, 2, (turn, QUIET)), (1, 1));
    let ring: Vec<Wish> = [[0, 1], [1, 2], [2, 0]]
        .map(|nodes| Wish {
            rounds: vec![nodes.to_vec()],
            out_of_reach: Vec::new(),
        })
        .into();
    assert_eq!(fewest_and_most(&ring, 3, (turn, QUIET)), (1, 1));
}

/// What is checked of every state and ending holds whoever is killed or too slow, and when: nobody
/// waits for ever, and no lock is left.
#[test]
fn who_is_killed_or_too_slow_is_in_nobodys_way() {
    for pair in pairs(2) {
        let meet = pair[0].meets(&pair[1]);
        let killed = Trouble {
            kills: true,
            ..QUIET
        };
        let counts = fewest_and_most(&pair, 2, (turn, killed));
        let expected = if meet { (0, 1) } else { (1, 1) };
        assert_eq!(counts, expected, "{pair:?}");
        let slow = Trouble {
            expires: true,
            ..QUIET
        };
        let (fewest, most) = fewest_and_most(&pair, 2, (turn, slow));
        assert!(
            fewest <= most && most == if meet { 1 } else { 2 },
            "{pair:?}"
        );
    }
}

/// Two operators who both want both nodes, by another rule than ours.
fn by(rule: Rule) -> (usize, usize) {
    let both = Wish {
        rounds: vec![vec![0, 1]],
        out_of_reach: Vec::new(),
    };
    fewest_and_most(&[both.clone(), both], 2, (rule, QUIET))
}

#[test]
fn the_model_finds_that_both_lose_when_all_are_refused_at_once() {
    assert_eq!(by(|_, _| Turn::Refused), (0, 1));
}

#[test]
#[should_panic(expected = "somebody waits for ever")]
fn the_model_finds_that_both_wait_when_nobody_is_refused() {
    by(|_, _| Turn::First);
}

#[test]
fn sessions_that_began_in_one_millisecond_are_told_apart_by_name() {
    let mut mine = begin(0);
    let mut other = holder(0, LockPurpose::Begin);
    assert_eq!(turn(&mine, &other), Turn::Refused, "itself");
    other.session = "1".to_owned();
    assert_eq!(turn(&mine, &other), Turn::First);
    mine.session = "2".to_owned();
    assert_eq!(turn(&mine, &other), Turn::Refused);
    mine.started = 0;
    other.started = 1;
    assert_eq!(turn(&mine, &other), Turn::First, "the time says more");
    other.purpose = LockPurpose::Deploy;
    assert_eq!(turn(&mine, &other), Turn::Refused, "it has gone on");
    other.purpose = LockPurpose::Comply;
    assert_eq!(turn(&mine, &other), Turn::AfterTheNode);
}

/// A run that knows a node by two names is not to wait for itself, and one that was cut off is.
#[test]
fn who_has_gone_on_and_asks_again_waits_for_what_is_left_of_itself() {
    let left = holder(0, LockPurpose::Deploy);
    assert_eq!(turn(&begin(0), &left), Turn::AfterItself);
    assert_eq!(turn(&begin(1), &left), Turn::Refused);
    let second_name = holder(0, LockPurpose::Begin);
    assert_eq!(turn(&begin(0), &second_name), Turn::Refused);
}
