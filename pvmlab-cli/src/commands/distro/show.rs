use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName, MANIFEST_FILE};
use serde::{Serialize, Serializer};

use crate::commands::completion;
use crate::distros::{Catalogue, Record, Source, Verification};
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::Image;
use crate::ui::Ui;

/// Shows what an image consists of, and where it comes from.
///
/// As JSON: a list of what is known for each architecture, with `name`, `arch`, `manifest` (null where it is not here),
/// `source` (`url` and `verification`, null where nobody says) and `download` (what came, null where nothing did).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab distro show debian-12\n  pvmlab distro show debian-12 --arch aarch64 --json"
)]
pub(crate) struct Show {
    /// Which image.
    #[arg(add = ArgValueCompleter::new(completion::distros))]
    name: ImageName,
    /// For this architecture alone.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Show {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let catalogue = Catalogue::read(home, ui);
        let archs = self.arch.map_or(Arch::ALL.to_vec(), |arch| vec![arch]);
        let mut shown = Vec::new();
        for arch in archs {
            let is_here = home.image(&self.name, arch).join(MANIFEST_FILE).exists();
            let image = if is_here { Some(Image::find(home, &self.name, arch)?) } else { None };
            let download = Record::read(home, &self.name, arch);
            // Nobody knows where an image comes from that was added as a folder or a file.
            let source = match (&image, &download) {
                (_, Some(record)) => Some(record.source.clone()),
                (Some(_), None) => None,
                (None, None) => catalogue.find(&self.name, arch).ok(),
            };
            if image.is_some() || source.is_some() {
                shown.push(Shown { name: self.name.clone(), arch, image, source, download });
            }
        }
        if shown.is_empty() {
            return Err(Failure::new(Kind::NotFound, format!("there is no image `{}`", self.name))
                .hinted("`pvmlab distro ls` shows what there is"));
        }
        ui.data(&shown, |shown| shown.iter().map(Shown::describe).collect::<Vec<_>>().join("\n"))
    }
}

#[derive(Serialize)]
struct Shown {
    name: ImageName,
    arch: Arch,
    #[serde(rename = "manifest", serialize_with = "manifest")]
    image: Option<Image>,
    source: Option<Source>,
    download: Option<Record>,
}

fn manifest<S: Serializer>(image: &Option<Image>, serializer: S) -> Result<S::Ok, S::Error> {
    image.as_ref().map(|image| &image.manifest).serialize(serializer)
}

impl Shown {
    fn describe(&self) -> String {
        let mut text = match &self.image {
            Some(image) => describe(image),
            None => format!("{} for {}, not here\n", self.name, self.arch),
        };
        if let Some(Source { url, verification, installer_kernel }) = &self.source {
            let verified = match verification {
                Verification::List(list) => format!("with {list}"),
                Verification::Pinned(digest) => format!("with {digest}"),
                Verification::None => "with nothing".to_owned(),
            };
            text.push_str(&format!("  from     {url}\n  compared {verified}\n"));
            if let Some(kernel) = installer_kernel {
                text.push_str(&format!("  written  by the kernel of {kernel}\n"));
            }
        }
        if let Some(Record { size, pulled, outdated, .. }) = &self.download {
            let outdated = if *outdated { "; there is a newer one" } else { "" };
            text.push_str(&format!("  pulled   {} MiB, {:.0}{outdated}\n", size.div_ceil(1 << 20), pulled));
        }
        text
    }
}

fn describe(image: &Image) -> String {
    let manifest = &image.manifest;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let mut text = format!("{} for {}\n  folder   {}\n", manifest.name, manifest.arch, image.folder.display());
    let files = manifest.files.iter().map(|file| ("file", file));
    for (what, file) in [("kernel", &manifest.kernel), ("initrd", &manifest.initrd)].into_iter().chain(files) {
        text += &format!("  {what:<8} {} ({} MiB)\n", file.file, mib(file.size));
    }
    text += &match &manifest.disk {
        Some(disk) => format!(
            "  disk     {} ({} MiB, unpacked {} MiB)\n  kernel arguments   {}\n",
            disk.file,
            mib(disk.size),
            mib(disk.raw_size),
            manifest.kernel_arguments.join(" ")
        ),
        None => "  disk     none: profiles of kind `installer` and `live` start its kernel\n".to_owned(),
    };
    text + &format!("  files    {}\n", image.glance().unwrap_or_else(|| "all there".to_owned()))
}
