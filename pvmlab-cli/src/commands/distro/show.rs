use clap_complete::ArgValueCompleter;
use lab_model::{Arch, ImageName};

use crate::commands::completion;
use crate::error::{Failure, Kind, Result};
use crate::home::Home;
use crate::images::{self, Image};
use crate::ui::Ui;

/// Shows what an image consists of.
///
/// As JSON: its manifests, one for each architecture.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pvmlab distro show debian-12\n  pvmlab distro show debian-12 --arch aarch64 --json"
)]
pub(crate) struct Show {
    /// Which image.
    #[arg(add = ArgValueCompleter::new(completion::images))]
    name: ImageName,
    /// For this architecture alone.
    #[arg(long)]
    arch: Option<Arch>,
}

impl Show {
    pub(crate) fn run(self, home: &Home, ui: Ui) -> Result<()> {
        home.require()?;
        let images = match self.arch {
            Some(arch) => vec![Image::find(home, &self.name, arch)?],
            None => images::all(home)?.0.into_iter().filter(|image| image.manifest.name == self.name).collect(),
        };
        if images.is_empty() {
            return Err(Failure::new(Kind::NotFound, format!("there is no image `{}`", self.name))
                .hinted("`pvmlab distro ls` shows what there is"));
        }
        let manifests: Vec<_> = images.iter().map(|image| &image.manifest).collect();
        ui.data(&manifests, |_| images.iter().map(describe).collect::<Vec<_>>().join("\n"))
    }
}

fn describe(image: &Image) -> String {
    let manifest = &image.manifest;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let disk = &manifest.disk;
    format!(
        "{} for {}\n  folder   {}\n  kernel   {} ({} MiB)\n  initrd   {} ({} MiB)\n  disk     {} ({} MiB, unpacked {} MiB)\n  \
         kernel arguments   {}\n  files    {}\n",
        manifest.name,
        manifest.arch,
        image.folder.display(),
        manifest.kernel.file,
        mib(manifest.kernel.size),
        manifest.initrd.file,
        mib(manifest.initrd.size),
        disk.file,
        mib(disk.size),
        mib(disk.raw_size),
        manifest.kernel_arguments.join(" "),
        image.glance().unwrap_or_else(|| "all there".to_owned()),
    )
}
