//! `pxe-server`: what a machine needs to boot from the network, in one program.

#[cfg_attr(not(test), expect(dead_code, reason = "the services that hand these out come next"))]
mod boot_files;
#[cfg_attr(not(test), expect(dead_code, reason = "the daemon that runs it comes next"))]
mod tftp;

fn main() {}
