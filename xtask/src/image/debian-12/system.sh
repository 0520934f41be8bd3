#!/bin/sh
# Finishes the root file system that mmdebstrap made, from outside of it: $1 is its folder.
# KERNEL, GRUB_TARGET, GRUB_FILE and GRUB_MODULES come from the recipe.
set -eu
root=$1

# The kernel comes last: its initrd is then built once, with all hooks in place, instead of again at each trigger.
apt-get install --yes --no-install-recommends -o DPkg::Chroot-Directory="$root" "$KERNEL"

# The boot loader reads its configuration from the EFI system partition, so the same binary fits every disk.
chroot "$root" grub-mkimage --format "$GRUB_TARGET" --prefix /EFI/debian --output "/usr/lib/grub/$GRUB_FILE" $GRUB_MODULES

chroot "$root" systemctl enable systemd-networkd.service systemd-resolved.service ssh.service
chroot "$root" systemctl disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
