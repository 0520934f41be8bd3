//! One line of a boot menu.

/// What a boot loader starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path of the kernel, as the configuration has it.
    pub(crate) kernel: String,
    /// Paths of the initial RAM file systems, which follow one another in memory.
    pub(crate) initrds: Vec<String>,
    /// The kernel's command line; `None` where nothing says it.
    pub(crate) arguments: Option<String>,
}
