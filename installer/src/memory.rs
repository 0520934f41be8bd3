//! What the installer itself takes of the machine's memory.

use crate::size::Size;

/// The most that was resident at once, page cache aside (`VmHWM`, proc_pid_status(5)); nothing where the kernel does not say.
pub fn peak() -> Option<Size> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<Size> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Size(kib << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_what_the_kernel_counted() {
        assert_eq!(peak_in("Name:\tinstaller\nVmPeak:\t   60000 kB\nVmHWM:\t   12288 kB\n"), Some(Size(12 << 20)));
        assert_eq!(peak_in("Name:\tkthreadd\n"), None);
    }
}
