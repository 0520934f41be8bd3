//! A vendor of cloud images: a web server on this machine's loopback with images, and a list of their checksums.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result};
use lab_model::{Arch, ImageManifest, ImageName, MANIFEST_FILE};
use tempfile::TempDir;

use crate::{process::run, supplies::Supplies};

/// The name of the list.
pub const CHECKSUMS: &str = "SHA256SUMS";

/// A vendor; it serves for as long as this process lives, and its files are gone when this is dropped.
#[derive(Debug)]
pub struct Vendor {
    folder: TempDir,
    address: SocketAddr,
}

impl Vendor {
    /// A vendor without an image.
    ///
    /// # Errors
    /// No port is free.
    pub fn new() -> Result<Self> {
        // Not /tmp, which may be memory.
        let folder = tempfile::tempdir_in("/var/tmp")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port of 127.0.0.1 is free")?;
        let address = listener.local_addr()?;
        let root = folder.path().to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                thread::spawn(move || answer(stream, &root));
            }
        });
        Ok(Self { folder, address })
    }

    /// Publishes an image as a compressed qcow2 file, as vendors of cloud images do, and returns its URL.
    ///
    /// # Errors
    /// There is no such image, or no space for it.
    pub fn publish(&self, supplies: &Supplies, name: &ImageName, arch: Arch) -> Result<String> {
        let image = supplies.images.join(name.as_str()).join(arch.as_str());
        let manifest = fs::read_to_string(image.join(MANIFEST_FILE)).with_context(|| {
            format!("there is no image {name} for {arch}: run `cargo xtask image {name} --arch {arch}`")
        })?;
        let disk = ImageManifest::from_json(&manifest)?.disk.context("the image has no disk")?;
        let (file, raw) = (format!("{name}-{arch}.qcow2"), self.file("raw"));
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        run("zstd", &["-q", "-d", "-f", "--sparse", &path(image.join(disk.file.as_str())), "-o", &path(raw.clone())])?;
        let convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", &path(raw.clone()), &path(self.file(&file))];
        run("qemu-img", &convert)?;
        fs::remove_file(raw)?;
        let sums = Command::new("sh").args(["-c", "sha256sum *.qcow2"]).current_dir(self.folder.path()).output()?;
        fs::write(self.file(CHECKSUMS), sums.stdout)?;
        Ok(format!("http://{}/{file}", self.address))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Sends one file whole, or says that there is none.
fn answer(mut stream: TcpStream, root: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let name = request.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    match File::open(root.join(name)) {
        Ok(mut file) => {
            let length = file.metadata()?.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
            io::copy(&mut file, &mut stream).map(drop)
        }
        Err(_) => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}
