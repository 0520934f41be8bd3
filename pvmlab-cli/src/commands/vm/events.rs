use jiff::Timestamp;
use lab_model::{Event, MachineName, What};

use crate::error::{Kind, Result};
use crate::home::Home;
use crate::provisioner::Provisioner;
use crate::store::Store;
use crate::ui::Ui;

/// Tells what happened at a machine's latest boot, step by step, and why it got no further.
///
/// As JSON: one event a line, in the server's own form.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab vm events web\n  pvmlab vm events web --follow\n  pvmlab vm events web --json | jq .event"
)]
pub(crate) struct Events {
    /// Which machine.
    name: MachineName,
    /// Goes on with what happens, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

impl Events {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        let store = Store::read(home)?;
        store.find(&self.name)?;
        let server = Provisioner::of(&store)?.api(home)?;
        let report = server.machine(&self.name)?;
        let Some(boot) = report.boots.first() else {
            ui.say(format_args!("{} has not booted yet", self.name));
            return if self.follow { self.follow(None, home, ui) } else { Ok(()) };
        };
        let mut before = None;
        for event in &boot.events {
            self.print(event, &mut before, ui)?;
        }
        if let Some(failure) = &report.machine.failure {
            ui.say(format_args!("it got no further: {failure}"));
        }
        if let Some(hint) = &report.machine.hint {
            ui.say(format_args!("what to do: {hint}"));
        }
        if self.follow { self.follow(before, home, ui) } else { Ok(()) }
    }

    fn follow(&self, mut before: Option<Timestamp>, home: &Home, ui: Ui) -> Result<()> {
        let server = Provisioner::find(home)?.api(home)?;
        let known = before;
        for event in server.follow(&self.name, before, None)? {
            match event {
                Ok(event) if known.is_none_or(|known| event.at > known) => self.print(&event, &mut before, ui)?,
                Ok(_) => {}
                Err(failure) if failure.kind() == Kind::TimedOut => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// One line: when, how long after the event before, what.
    fn print(&self, event: &Event, before: &mut Option<Timestamp>, ui: Ui) -> Result<()> {
        let since = before.replace(event.at).map(|before| event.at.duration_since(before).as_secs_f64());
        if ui.json {
            println!("{}", serde_json::to_string(event).map_err(anyhow::Error::from)?);
            return Ok(());
        }
        let since = since.map(|seconds| format!("+{seconds:.1} s")).unwrap_or_default();
        println!("{}  {since:>9}  {}", event.at.strftime("%H:%M:%S"), words(&event.what));
        Ok(())
    }
}

fn words(what: &What) -> String {
    match what {
        What::Offer { address, .. } => format!("is offered {address}"),
        What::Ack { address, firmware } => format!("has {address}, as {}", name(firmware)),
        What::Directed { .. } => "is told what to boot; another server gives addresses".to_owned(),
        What::Class { name, .. } => format!("is of the class `{name}`"),
        What::Elsewhere { address, firmware, server } => {
            let server = server.map_or_else(|| "another server".to_owned(), |server| server.to_string());
            format!("takes {address} from {server}, as {}", name(firmware))
        }
        What::Nak { address, reason } => format!("is refused {address}: {reason}"),
        What::Decline { address, holder: Some(holder) } => format!("does not get {address}, which {holder} has"),
        What::Decline { address, holder: None } => format!("finds {address} in use by somebody else"),
        What::Transfer { file, bytes, milliseconds } => {
            format!("has {file} by TFTP, {bytes} bytes in {milliseconds} ms")
        }
        What::TransferFailed { file, reason, .. } => format!("does not get {file} by TFTP: {reason}"),
        What::Url => "is told a URL to boot from".to_owned(),
        What::Quirk { name } => format!("has firmware with a known fault, `{name}`"),
        What::StepDown { to, reason } => format!("is served more gently from now on, `{to}`: {reason}"),
        What::Script { boot } => format!("has its boot script: {boot}"),
        What::Once { .. } => "has what it was to boot this one time".to_owned(),
        What::Fetch { file, bytes } => format!("has its {}, {bytes} bytes", name(file)),
        What::FetchAborted { file, bytes } => format!("breaks off its {} after {bytes} bytes", name(file)),
        What::FetchRefused { file, reason } => format!("does not get its {}: {reason}", name(file)),
        What::Installer(report) => {
            let phase = name(&report.phase);
            let percent = report.percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
            let more = report.failure.as_ref().or(report.detail.as_ref()).map(|text| format!(": {text}"));
            let failed = if report.failure.is_some() { " failed" } else { "" };
            format!("installer: {phase}{percent}{failed}{}", more.unwrap_or_default())
        }
        What::Up => "is up".to_owned(),
    }
}

/// As JSON has it.
fn name<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
