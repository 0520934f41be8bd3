use lab_model::{Health, MachineName};
use serde::Serialize;

use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::provisioner::Provisioner;
use crate::provisioner::api::Api;
use crate::provisioner::share::Found;
use crate::ui::Ui;

/// Says whether the server on the provisioner is well, and which release it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pvmlab provisioner status\n  pvmlab provisioner status --json")]
pub(crate) struct Status {}

impl Status {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let provisioner = Provisioner::find(home)?;
        let login = provisioner.login(home)?;
        let said = login.run(
            "systemctl show --property ActiveState --value pxe-server.service; readlink /usr/local/bin/pxe-server || true",
        )?;
        let mut lines = said.lines().map(str::trim);
        let service = lines.next().unwrap_or_default().to_owned();
        let state = State {
            provisioner: provisioner.name().clone(),
            release: lines.next().and_then(|path| path.rsplit('/').nth(1)).map(ToOwned::to_owned),
            share: Found::ask(home, &login)?.share.to_string(),
            health: if service == "active" { Some(Api::new(&login, provisioner.server())?.health()?) } else { None },
            service,
        };
        ui.data(&state, State::text)?;
        if state.service != "active" {
            return Err(Failure::new(
                Kind::Failed,
                format!("the server of {} is {}", state.provisioner, state.service),
            )
            .hinted("`pvmlab provisioner start` starts it, and `pvmlab provisioner logs` says why it ended"));
        }
        Ok(())
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct State {
    provisioner: MachineName,
    /// In systemd's words: `active`, `inactive`, `failed`, `activating`.
    service: String,
    /// The id of what is at work.
    release: Option<String>,
    /// How the host's files get there: `9p` or `push`.
    share: String,
    /// The server's own words, while it is active.
    health: Option<Health>,
}

impl State {
    fn text(&self) -> String {
        let mut text = format!(
            "provisioner  {}\nservice      {}\nrelease      {}\nshare        {}\n",
            self.provisioner,
            self.service,
            self.release.as_deref().unwrap_or("none"),
            self.share
        );
        if let Some(health) = &self.health {
            let bad = |count| if count == 0 { String::new() } else { format!(", {count} with something wrong") };
            text.push_str(&format!(
                "version      {}\nurl          {}\nup for       {} s\nmachines     {}{}\nimages       {}{}\n",
                health.version,
                health.url,
                health.uptime_seconds,
                health.machines,
                bad(health.bad_definitions),
                health.images,
                bad(health.bad_images)
            ));
            health.notes().iter().for_each(|note| text.push_str(&format!("problem      {note}\n")));
        }
        text
    }
}
