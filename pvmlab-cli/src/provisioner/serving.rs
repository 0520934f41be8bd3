//! A provisioner's way from switched off to serving: its seed, its first answers, and what it needs from the host.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab_model::Health;

use super::Provisioner;
use super::api::Api;
use super::push;
use super::release::Release;
use super::seed;
use super::share::{Found, Share};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::qemu::power;
use crate::ui::Ui;

/// Writes the seed for the next start: the release that this host has, and what the definition says by now.
///
/// # Errors
/// This host has no release for the provisioner's processor, or its disk is full.
pub(crate) fn prepare(provisioner: &Provisioner, home: &Home) -> Result<()> {
    let release = Release::find(None, provisioner.arch())?;
    seed::write(home, provisioner, &[NAME_SERVER], &release)?;
    Ok(())
}

/// Waits until the server in a provisioner that runs answers, and then brings it what it cannot mount.
///
/// # Errors
/// It does not within `limit`; or it is switched off; or somebody wants this to end, and then it runs on.
pub(crate) fn until_healthy(
    provisioner: &Provisioner,
    limit: Duration,
    home: &Home,
    interrupt: &Interrupt,
    ui: Ui,
) -> Result<Health> {
    let began = Instant::now();
    let (name, server) = (provisioner.name(), provisioner.api(home)?);
    loop {
        let answer = server.health();
        if let Ok(health) = answer {
            supply(provisioner, home, ui)?;
            return Ok(health);
        }
        if power::running(home, name)?.is_none() {
            return Err(Failure::new(Kind::Failed, format!("{name} was switched off before its server answered"))
                .hinted(format!("what it printed: `pvmlab vm logs {name}`")));
        }
        if began.elapsed() >= limit {
            let seconds = limit.as_secs();
            let failure =
                Failure::new(Kind::TimedOut, format!("the server of {name} does not answer after {seconds} s"));
            let failure = answer.err().map(|error| error.to_string()).into_iter().fold(failure, Failure::hinted);
            return Err(failure
                .hinted(format!("what it printed: `pvmlab vm logs {name}`; its service: `pvmlab provisioner logs`"))
                .hinted("it runs on; PVMLAB_WAIT_TIMEOUT says how many seconds to wait"));
        }
        interrupt.pause(POLL_INTERVAL)?;
    }
}

/// Brings definitions and images to a provisioner that runs and cannot mount the host's folders; does nothing for others.
///
/// # Errors
/// It cannot be reached, or its disk is full.
pub(crate) fn supply(provisioner: &Provisioner, home: &Home, ui: Ui) -> Result<()> {
    if power::running(home, provisioner.name())?.is_none() {
        return Ok(());
    }
    let login = provisioner.login(home)?;
    match Found::ask(home, &login)?.share {
        Share::Mounted => Ok(()),
        Share::Pushed => {
            push::images(home, &login, ui)?;
            push::profiles(home, &login)?;
            push::definitions(home, &login)
        }
    }
}

/// Tells a provisioner that runs of definitions and profiles that have changed just now, where it cannot see them by itself.
///
/// Each start of a machine tells it again, so what keeps it from hearing now is no failure: it is only said.
pub(crate) fn announce(home: &Home, ui: Ui) {
    let Ok(provisioner) = Provisioner::find(home) else { return };
    let mounted = |found: Found| found.share == Share::Mounted;
    let tell = || -> Result<()> {
        let name = provisioner.name();
        if power::running(home, name)?.is_none() || Found::remembered(home, name).is_some_and(mounted) {
            return Ok(());
        }
        ui.say(format_args!("telling {name} …"));
        let login = provisioner.login(home)?;
        match Found::ask(home, &login)?.share {
            Share::Mounted => Ok(()),
            Share::Pushed => {
                push::profiles(home, &login)?;
                push::definitions(home, &login)
            }
        }
    };
    if let Err(failure) = tell() {
        let name = provisioner.name();
        ui.say(format_args!("warning: {name} does not know of it yet ({failure}); it is told when a machine starts"));
    }
}

impl Provisioner {
    /// What its server says.
    ///
    /// # Errors
    /// It is off.
    pub(crate) fn api(&self, home: &Home) -> Result<Api> {
        Api::new(&self.login(home)?, self.server())
    }
}

/// QEMU's own on its user network: it asks whom the host asks.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// Each question is a login.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
