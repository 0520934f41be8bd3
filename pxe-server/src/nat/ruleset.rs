//! The nft table as JSON (libnftables-json(5)), each document one transaction.

use std::net::IpAddr;

use serde::Serialize;

use super::Plan;

/// One transaction: all of it is done, or nothing.
#[derive(Debug, Serialize)]
pub(super) struct Transaction {
    nftables: Vec<Command>,
}

/// The table as the plan wants it, in the place of one that may be there.
pub(super) fn replace(plan: &Plan) -> Transaction {
    let table = Table { family: FAMILY, name: plan.table() };
    let (lab, uplink) = (plan.lab.as_str(), plan.uplink.as_str());
    let mut nftables = remove(&table.name).nftables;
    nftables.push(Command::Add(Object::Table(table.clone())));

    let forward = table.chain("forward", Kind::Filter, FILTER);
    let rules = [
        // What connection tracking does not know is not translated either: it must not leave with a lab address.
        forward.rule([comes_from(lab), leaves_to(uplink), state(&["invalid"]), Statement::Drop(())]),
        forward.rule([comes_from(lab), leaves_to(uplink), Statement::Accept(())]),
        forward.rule([comes_from(uplink), leaves_to(lab), state(&["established", "related"]), Statement::Accept(())]),
        // From the lab to the lab is nobody's business: where br_netfilter is loaded, what a bridge carries comes by here.
        forward.rule([comes_from(lab), leaves_elsewhere_than(lab), Statement::Drop(())]),
        forward.rule([comes_from_elsewhere_than(lab), leaves_to(lab), Statement::Drop(())]),
    ];
    nftables.push(Command::Add(Object::Chain(forward)));
    nftables.extend(rules.map(Object::Rule).map(Command::Add));

    // Linux answers for any of its addresses on any interface: without this, neighbours of the uplink could ask the
    // services that are bound to the lab's.
    let input = table.chain("input", Kind::Filter, FILTER);
    let rules =
        plan.addresses.iter().map(|address| input.rule([comes_from(uplink), goes_to(*address), Statement::Drop(())]));
    let rules: Vec<_> = rules.collect();
    nftables.push(Command::Add(Object::Chain(input)));
    nftables.extend(rules.into_iter().map(Object::Rule).map(Command::Add));

    let postrouting = table.chain("postrouting", Kind::Nat, SRCNAT);
    let rule = postrouting.rule([comes_from(lab), leaves_to(uplink), Statement::Masquerade(())]);
    nftables.push(Command::Add(Object::Chain(postrouting)));
    nftables.push(Command::Add(Object::Rule(rule)));
    Transaction { nftables }
}

/// The end of a table, whether it is there or not.
pub(super) fn remove(table: &str) -> Transaction {
    let table = || Object::Table(Table { family: FAMILY, name: table.to_owned() });
    // Only what is there can be deleted; adding what is there changes nothing.
    Transaction { nftables: vec![Command::Add(table()), Command::Delete(table())] }
}

/// IPv4 and IPv6 in one table.
const FAMILY: &str = "inet";

/// Where most firewalls decide (nft(8), "Standard priority names").
const FILTER: i32 = 0;

/// Where sources are translated.
const SRCNAT: i32 = 100;

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Command {
    Add(Object),
    Delete(Object),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Object {
    Table(Table),
    Chain(Chain),
    Rule(Rule),
}

#[derive(Clone, Debug, Serialize)]
struct Table {
    family: &'static str,
    name: String,
}

#[derive(Debug, Serialize)]
struct Chain {
    family: &'static str,
    table: String,
    name: &'static str,
    #[serde(rename = "type")]
    kind: Kind,
    hook: &'static str,
    prio: i32,
    policy: &'static str,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Filter,
    Nat,
}

#[derive(Debug, Serialize)]
struct Rule {
    family: &'static str,
    table: String,
    chain: &'static str,
    expr: Vec<Statement>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Statement {
    Match { op: &'static str, left: Field, right: Value },
    Accept(()),
    Drop(()),
    Masquerade(()),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Field {
    Meta { key: &'static str },
    Ct { key: &'static str },
    Payload { protocol: &'static str, field: &'static str },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    OneOf(Vec<&'static str>),
}

impl Table {
    /// A chain named after its hook. It drops nothing by itself: what it does not know belongs to others.
    fn chain(&self, hook: &'static str, kind: Kind, prio: i32) -> Chain {
        Chain { family: FAMILY, table: self.name.clone(), name: hook, kind, hook, prio, policy: "accept" }
    }
}

impl Chain {
    fn rule<const N: usize>(&self, expr: [Statement; N]) -> Rule {
        Rule { family: FAMILY, table: self.table.clone(), chain: self.name, expr: expr.into() }
    }
}

fn comes_from(interface: &str) -> Statement {
    meta("iifname", "==", interface)
}

fn comes_from_elsewhere_than(interface: &str) -> Statement {
    meta("iifname", "!=", interface)
}

fn leaves_to(interface: &str) -> Statement {
    meta("oifname", "==", interface)
}

fn leaves_elsewhere_than(interface: &str) -> Statement {
    meta("oifname", "!=", interface)
}

fn meta(key: &'static str, op: &'static str, interface: &str) -> Statement {
    Statement::Match { op, left: Field::Meta { key }, right: Value::Text(interface.to_owned()) }
}

fn state(states: &[&'static str]) -> Statement {
    Statement::Match { op: "in", left: Field::Ct { key: "state" }, right: Value::OneOf(states.to_vec()) }
}

fn goes_to(address: IpAddr) -> Statement {
    let protocol = if address.is_ipv4() { "ip" } else { "ip6" };
    let left = Field::Payload { protocol, field: "daddr" };
    Statement::Match { op: "==", left, right: Value::Text(address.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        insta::assert_snapshot!(lines(&replace(&plan())));
    }

    #[test]
    fn its_removal_does_not_ask_whether_it_is_there() {
        insta::assert_snapshot!(lines(&remove("pvmlab-enp0s2")));
    }

    /// One command a line: long, but a changed rule is one changed line.
    fn lines(transaction: &Transaction) -> String {
        let commands = transaction.nftables.iter();
        let lines = commands.map(|command| serde_json::to_string(command).expect("it has a JSON form"));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn plan() -> Plan {
        Plan {
            lab: "enp0s2".to_owned(),
            uplink: "enp0s1".parse().expect("a name"),
            addresses: vec![IpAddr::from([10, 77, 0, 1]), "fd77::1".parse().expect("an address")],
        }
    }
}
