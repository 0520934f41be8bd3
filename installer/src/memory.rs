//! What there is of memory, and what the installer itself takes of it.

use crate::size::Size;

/// The most that was resident at once, page cache aside (`VmHWM`, proc_pid_status(5)); nothing where the kernel does not say.
pub fn peak() -> Option<Size> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// All that the kernel has (`MemTotal`, proc_meminfo(5)).
pub fn total() -> Option<Size> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn peak_in(status: &str) -> Option<Size> {
    field(status, "VmHWM:")
}

fn field(text: &str, name: &str) -> Option<Size> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
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
