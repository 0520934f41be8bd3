//! How long a test waits before it gives up: several times what an idle machine of two cores needs under emulation.

use std::time::Duration;

/// From power-on to the installer's first steps.
pub(crate) const BOOT: Duration = Duration::from_secs(300);

/// From there until the image is on the disk.
pub(crate) const INSTALL: Duration = Duration::from_secs(600);

/// From the disk to a system that is configured and lets us in.
pub(crate) const SYSTEM: Duration = Duration::from_secs(600);

/// From the power button to silence.
pub(crate) const POWER_DOWN: Duration = Duration::from_secs(120);
