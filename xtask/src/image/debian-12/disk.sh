#!/bin/sh
# Fills the root partition of a disk image.
# SYSTEM is the archive of the root file system, OVERLAY a folder of files that go over it, WORK a folder to work in and
# for the boot loader, DISK the disk image, SHAPE where the kernel lies; the rest comes from the recipe.
set -eu
umask 022
root=$WORK/root
mkdir "$root"

echo "unpacking the system"
tar --extract --file "$SYSTEM" --directory "$root" --numeric-owner --same-owner --same-permissions --exclude './dev/*'
# The person's umask is not the system's: neither for the overlay as it was written, nor for what is made here.
chmod -R u=rwX,go=rX "$OVERLAY"
cp --recursive --no-preserve=ownership --no-target-directory "$OVERLAY" "$root"

# What must differ on every machine is made on its first boot.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" "$root/etc/hostname"
: > "$root/etc/machine-id"
# What this build needed and the installed system does not.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
# The mirror that it was built from may be nobody else's. The system's own sources are written on its first boot.
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"

cp "$root/usr/lib/grub/$GRUB_FILE" "$WORK/$GRUB_FILE"

# Features by name: the defaults of newer mke2fs include some that the image's GRUB cannot read.
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum

case $SHAPE in
boot-partition)
    echo "writing the boot file system"
    mkdir "$WORK/boot"
    mv "$root"/boot/* "$WORK/boot"
    ln -s "$(basename "$WORK"/boot/vmlinuz-*)" "$WORK/boot/vmlinuz"
    ln -s "$(basename "$WORK"/boot/initrd.img-*)" "$WORK/boot/initrd.img"
    mke2fs -q -F -t ext4 -L boot -m 1 -U "$BOOT_UUID" -O "$features" \
        -E "offset=$BOOT_OFFSET,hash_seed=$BOOT_UUID" -d "$WORK/boot" "$DISK" "${BOOT_KIB}k"
    ;;
entries)
    mv "$root"/boot/vmlinuz-* "$WORK/vmlinuz"
    mv "$root"/boot/initrd.img-* "$WORK/initrd.img"
    ;;
esac

echo "writing the root file system"
mke2fs -q -F -t ext4 -L root -m 1 -U "$ROOT_UUID" -O "$features" \
    -E "offset=$ROOT_OFFSET,hash_seed=$ROOT_UUID" -d "$root" "$DISK" "${ROOT_KIB}k"
rm -rf "$root"
