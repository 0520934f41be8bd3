//! What the server says of its machines and of itself: the answers to `GET /machines`, `GET /machines/<name>` and
//! `GET /health`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Arch, Event, Firmware, ImageName, Ipv4Net, MacAddr, MachineName, Sha256, Stage};

/// The lab as the server sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LabStatus {
    /// Defined machines by name, then strangers by hardware address.
    pub machines: Vec<MachineStatus>,
    /// Definition files that are not in force as they stand, and images that cannot be used, one sentence each, starting
    /// with the file's name.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// One machine and how far its latest boot got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineStatus {
    /// `None` for a machine that no definition names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<MachineName>,
    /// Its hardware address on the lab network.
    pub mac: MacAddr,
    /// What its processor executes, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// The address it has, or would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The other DHCP server that gave it this address; `None` where it has it from us, or nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_from: Option<Ipv4Addr>,
    /// The IPv6 address it has, or would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// The image that is installed on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// The class of the configuration whose profile it boots by; `None` where its definition says it, or nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What asked for an address first in its latest boot, if it was not an operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// What its latest boot script told it to do, as [`crate::What::Script`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// When it was last heard of; `None`: it was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Timestamp>,
    /// How far its latest boot got; `None`: it was never seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// When it reached that stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How much of the disk image is written, 0 to 100, while it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Why it got no further, where something said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What to do about it, where there is something to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One machine with its latest boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineReport {
    /// The machine, and how far its latest boot got.
    #[serde(flatten)]
    pub machine: MachineStatus,
    /// The boots that the server remembers, latest first.
    pub boots: Vec<BootReport>,
}

/// One boot of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootReport {
    /// When the machine was first heard of.
    pub began: Timestamp,
    /// The stages it reached, in their order.
    pub stages: Vec<ReachedStage>,
    /// Why it got no further, where something said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What happened, oldest first; of many events the first and the latest.
    pub events: Vec<Event>,
}

/// A stage that a boot reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReachedStage {
    /// Which one.
    pub stage: Stage,
    /// When it was reached first.
    pub at: Timestamp,
    /// Milliseconds since the stage before, or since the boot began.
    pub milliseconds: u64,
}

/// How the server itself is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// What the program's file hashes to: whether it is the one that was deployed. `None` where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<Sha256>,
    /// The server's clock.
    pub now: Timestamp,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The interface that machines boot on; `None` where only HTTP is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The server's address in the lab, then the interface's others, as they were at the start.
    pub addresses: Vec<Ipv4Net>,
    /// Which configuration it works by. `None`: it is of a version that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// How machines reach it.
    pub url: String,
    /// How it is with TLS; `None` where it is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsHealth>,
    /// How many machines are defined.
    pub machines: usize,
    /// How many definition files are not in force as they stand.
    pub bad_definitions: usize,
    /// How many images can be used.
    pub images: usize,
    /// How many are there about which something is wrong.
    pub bad_images: usize,
    /// How many leases have not ended; `None` where no addresses are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<usize>,
    /// How its DNS is; `None` where no names are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsHealth>,
    /// The DHCP servers that machines took addresses of in the last hour, where they have them from others; `None` where
    /// this one gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses_from: Option<Vec<Ipv4Addr>>,
    /// Other DHCP servers that answered machines in the last hour, where there should be none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_dhcp_servers: Vec<Ipv4Addr>,
    /// Hosts that said in the last hour of more addresses that they are their own than one host has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts_not_believed: Vec<MacAddr>,
    /// Whether it is about to end: it takes no new connections then.
    pub stopping: bool,
}

impl Health {
    /// What its owner should know, one sentence each; nothing where all is well with its files.
    pub fn notes(&self) -> Vec<String> {
        let configuration = self.configuration.iter().flat_map(Configuration::notes);
        let tls = self.tls.iter().filter_map(|tls| tls.problem.clone());
        configuration.chain(tls).collect()
    }
}

/// Which configuration the server works by, and how it is with the file that it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Configuration {
    /// What the file hashes to that is at work.
    pub sha256: Sha256,
    /// Since when.
    pub since: Timestamp,
    /// Why the file as it is now is not at work, with its line and key; `None` where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The keys whose value in the file only a restart brings into force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_for: Vec<String>,
}

impl Configuration {
    /// What its owner should know, one sentence each; nothing where the file is at work as it is.
    fn notes(&self) -> Vec<String> {
        let problem = self.problem.iter().map(|problem| format!("the configuration is as it was before: {problem}"));
        let keys = self.restart_for.join(", ");
        let restart =
            (!keys.is_empty()).then(|| format!("the configuration waits for a restart of the server: {keys}"));
        problem.chain(restart).collect()
    }
}

/// How it is with the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TlsHealth {
    /// How machines reach the server by TLS.
    pub url: String,
    /// When the certificate ends, or one that leads to its root.
    pub ends: Timestamp,
    /// What its owner should know: that it ends soon, or why the files as they are now are not at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What the server's DNS did since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DnsHealth {
    /// What became of the messages that clients sent; their keys are this one's.
    #[serde(flatten)]
    pub counts: DnsCounts,
    /// The name servers that others' names are asked of, the first one first.
    pub upstreams: Vec<NameServerHealth>,
}

/// What became of the messages that clients sent. A question is one of `local`, `cached`, `forwarded`, `refused`, `limited` and
/// `malformed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DnsCounts {
    /// Every message that came.
    pub queries: u64,
    /// Answered from what is known here, whether that is a name or that there is none.
    pub local: u64,
    /// Answered from what another name server had said before.
    pub cached: u64,
    /// Passed on to another name server, or joined with one that was.
    pub forwarded: u64,
    /// Of those, the ones that no name server answered.
    pub failed: u64,
    /// Refused: from outside of the lab, or of a kind that nobody gets.
    pub refused: u64,
    /// Not answered, because their sender asks too often.
    pub limited: u64,
    /// Not answered with a name, because they are no question.
    pub malformed: u64,
}

/// How a name server elsewhere is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NameServerHealth {
    /// Where it is asked.
    pub address: SocketAddr,
    /// Whether it answers, as far as is known.
    pub answers: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;

    #[test]
    fn what_is_wrong_with_a_servers_files_is_told_together() {
        let health = r#"{"version":"1","now":"2026-01-01T00:00:00Z","uptime-seconds":1,"addresses":[],"machines":0,
            "bad-definitions":0,"images":0,"bad-images":0,"stopping":false,"url":"http://10.77.0.1",
            "configuration":{"sha256":"SHA256","since":"2026-01-01T00:00:00Z","problem":"a comma is missing"},
            "tls":{"url":"https://10.77.0.1","ends":"2026-01-02T00:00:00Z","problem":"the certificate ends"}}"#;
        let health: Health = serde_json::from_str(&health.replace("SHA256", &"0".repeat(64))).expect("a health");

        assert_eq!(
            health.notes(),
            ["the configuration is as it was before: a comma is missing", "the certificate ends"]
        );
    }

    #[test]
    fn a_report_survives_json() {
        let mac = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
        let at = Timestamp::UNIX_EPOCH;
        let machine = MachineStatus {
            name: "web".parse().ok(),
            mac,
            arch: Some(Arch::Aarch64),
            address: None,
            address_from: None,
            ipv6: None,
            image: None,
            class: None,
            firmware: Some(Firmware::UefiArm64),
            boot: Some("install".to_owned()),
            heard: Some(at),
            stage: Some(Stage::Up),
            since: Some(at),
            percent: Some(100),
            failure: None,
            hint: None,
        };
        let boot = BootReport {
            began: at,
            stages: vec![ReachedStage { stage: Stage::Up, at, milliseconds: 7 }],
            failure: None,
            events: vec![Event { at, mac, machine: None, what: What::Up }],
        };
        let report = MachineReport { machine, boots: vec![boot] };

        let text = serde_json::to_string(&report).expect("a report has a JSON form");

        assert!(
            text.starts_with(
                r#"{"name":"web","mac":"52:54:00:00:00:01","arch":"aarch64","firmware":"uefi-arm64","boot":"install""#
            ),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<MachineReport>(&text).expect("its own form"), report);
    }
}
