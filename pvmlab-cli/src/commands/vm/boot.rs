use std::time::SystemTime;

use anyhow::Context as _;
use clap_complete::ArgValueCompleter;
use lab_model::{Definition, Machine, MachineName, Once, ProfileName, Role};
use pxe_proto::boot::profile::Kind as ProfileKind;
use pxe_proto::boot::{self, Asker};

use crate::boot::{self as power_on, Start};
use crate::commands::completion;
use crate::commands::vm::console::Console;
use crate::commands::vm::start;
use crate::error::{Failure, Kind, Result};
use crate::hardware::BootOrder;
use crate::home::Home;
use crate::images::Image;
use crate::interrupt::Interrupt;
use crate::profiles::{self, Shipped};
use crate::qemu::power;
use crate::store::{Store, Stored};
use crate::ui::Ui;

/// Switches a machine on and has it boot another profile from the network, this one time.
///
/// The machine must be off, and need not be one that boots from the network. Where it boots again meanwhile, it goes on to its
/// disk, whatever is defined otherwise; its next `pvmlab vm start` is as usual. What the profile does to the disk is the profile's:
/// `rescue` and other live systems do nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pvmlab profile add rescue
  pvmlab vm boot web --profile rescue       # its image's system in memory: pvmlab vm shell web
  pvmlab profile add shell
  pvmlab vm boot web --profile shell -i     # a shell on its console")]
pub(crate) struct Boot {
    /// Which machine.
    #[arg(add = ArgValueCompleter::new(completion::machines))]
    name: MachineName,
    /// One of `pvmlab profile ls`.
    #[arg(long, add = ArgValueCompleter::new(completion::profiles))]
    profile: ProfileName,
    /// Attaches this terminal to its serial console; Ctrl-] detaches.
    #[arg(long, short)]
    interactive: bool,
}

impl Boot {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let interrupt = Interrupt::hold();
        let lock = home.lock()?;
        let store = Store::read(home)?;
        let stored = store.find(&self.name)?;
        power::refuse_running(home, &self.name)?;
        let armed = self.arm(stored, &store, home)?;
        require_server(&store, home)?;

        crate::declared::write(&armed, &stored.file, home)?;
        let started = (|| {
            let store = Store::read(home)?;
            let stored = store.find(&self.name)?;
            start::supply(stored, &store, home, ui)?;
            let how = Start { boot: Some(BootOrder::Pxe), ..Start::default() };
            power_on::start(stored, how, home, &lock, &interrupt)
        })();
        if let Err(failure) = started {
            crate::declared::write(&stored.definition, &stored.file, home)?;
            return Err(failure);
        }
        drop(lock);
        ui.say(format_args!("{} boots `{}`, this one time", self.name, self.profile));
        if self.interactive {
            drop(interrupt);
            return Console::of(self.name).run(home, ui);
        }
        ui.say(format_args!("its console: `pvmlab vm console {}`", self.name));
        Ok(())
    }

    /// The definition that makes it so.
    fn arm(&self, stored: &Stored, store: &Store, home: &Home) -> Result<Definition> {
        if stored.machine.role == Role::Provisioner {
            return Err(Failure::new(Kind::Usage, format!("{} is the provisioner: nobody serves it", self.name)));
        }
        let profiles = profiles::read(home)?;
        let profile = profiles.named(&self.profile).ok_or_else(|| self.no_profile(&profiles))?;
        if matches!(profile.kind, ProfileKind::Image) {
            let message = format!("the profile `{}` installs an image, and the disk would be lost", self.profile);
            return Err(Failure::new(Kind::Usage, message)
                .hinted(format!("where that is meant: `pvmlab vm reinstall {}`", self.name)));
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
        let number = u64::try_from(now.as_millis()).unwrap_or_default();
        let once = Some(Once { profile: self.profile.clone(), number });
        let armed = Definition { once, ..stored.definition.clone() };
        store.check_changed(&stored.file, &armed)?;

        let network = store.require_network()?.ipv4;
        let machine =
            Machine::new(&armed, network).map_err(|problem| Failure::new(Kind::Usage, problem.to_string()))?;
        let boot = boot::decide(Some(&machine), &profiles, &Asker::default());
        let image = boot.image().map(|(image, arch)| Image::find(home, image, arch)).transpose()?;
        if let boot::Boot::Refuse(refusal) = boot.with(image.as_ref().map(|image| &image.manifest)) {
            return Err(Failure::new(Kind::Usage, refusal.to_string()));
        }
        Ok(armed)
    }

    fn no_profile(&self, profiles: &pxe_proto::boot::Profiles) -> Failure {
        let failure = Failure::new(Kind::NotFound, format!("there is no profile `{}`", self.profile));
        if Shipped::ALL.iter().any(|shipped| shipped.name == self.profile.as_str()) {
            return failure.hinted(format!("it comes with this program: `pvmlab profile add {}`", self.profile));
        }
        match profiles.all().map(|profile| profile.name.as_str()).collect::<Vec<_>>() {
            names if names.is_empty() => failure.hinted("`pvmlab profile ls` shows which come with this program"),
            names => failure.hinted(format!("there are {}", names.join(", "))),
        }
    }
}

/// Nobody else would answer it.
fn require_server(store: &Store, home: &Home) -> Result<()> {
    let provisioner = &store.require_provisioner()?.machine.name;
    if power::running(home, provisioner)?.is_some() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Conflict,
        "the provisioner is not running, so nothing answers a machine that boots from the network",
    )
    .hinted("start it with `pvmlab provisioner start`"))
}
