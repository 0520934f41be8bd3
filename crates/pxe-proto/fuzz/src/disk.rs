//! Disks of strangers: qcow2, partitions, file systems, boot loaders' menus and kernels.

use std::error::Error;
use std::sync::Arc;

use disk_image::{Boot, Qcow2, ReadAt};

use super::steps::{Step, steps};

/// Each step is some bytes, and the first two of them say in which sector of an empty disk they begin: so an input is as short as
/// what is on the disk. A qcow2 image is read, and so is what is in it.
pub fn run(input: &[u8]) {
    let mut file = vec![0; MOST];
    let mut end = 0;
    for Step { bytes, .. } in steps(input) {
        let Some((sector, bytes)) = bytes.split_first_chunk() else { continue };
        let at = usize::from(u16::from_be_bytes(*sector)) * 512;
        let Some(place) = file.get_mut(at..at + bytes.len()) else { continue };
        place.copy_from_slice(bytes);
        end = end.max(at + bytes.len());
    }
    file.truncate(end.next_multiple_of(512));
    let file: Arc<dyn ReadAt> = Arc::new(file);
    if !Qcow2::is(&*file) {
        return boot(file);
    }
    match Qcow2::open(file) {
        Ok(image) => {
            read_some(&image);
            boot(Arc::new(image));
        }
        Err(error) => say(&error),
    }
}

/// A disk of all zeros is not to take longer than its tables do.
fn read_some(image: &Qcow2) {
    let mut buffer = vec![0; 64 << 10];
    for at in [0, image.size() / 2, image.size().saturating_sub(buffer.len() as u64)] {
        let length = buffer.len().min(usize::try_from(image.size() - at).unwrap_or(usize::MAX));
        let is_hole = image.is_hole(at, length as u64).unwrap_or(false);
        if image.read_at(at, &mut buffer[..length]).is_ok() {
            assert!(!is_hole || buffer[..length].iter().all(|byte| *byte == 0), "a hole at {at} has bytes");
        }
    }
}

fn boot(disk: Arc<dyn ReadAt>) {
    match Boot::find(disk) {
        Ok(boot) => {
            boot.consoles();
            boot.arch();
        }
        Err(error) => say(&error),
    }
}

/// Says it as a program would, with everything beneath it.
fn say(error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert!(!error.to_string().is_empty());
        next = error.source();
    }
}

/// How long a disk is at most.
const MOST: usize = 4 << 20;
