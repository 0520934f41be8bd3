#!/tools/bin/busybox sh
# The first pvmlab's way to install, as PID 1 of an initial RAM file system: make file systems, unpack the root, make it boot.
set -e
export PATH=/tools/bin:/tools/sbin:/tools/usr/bin:/tools/usr/sbin:/sbin:/usr/sbin:/bin:/usr/bin
bb=/tools/bin/busybox
trap '$bb echo "original installer: FAILED"; $bb sleep 5; $bb reboot -f' EXIT

$bb mkdir -p /proc /sys /dev /target
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev || true
exec </dev/console >/dev/console 2>&1
modprobe -a virtio_pci virtio_net virtio_blk ext4
$bb echo "{started}"

for card in /sys/class/net/e*; do card=${card##*/}; done
$bb ifconfig "$card" {address} netmask 255.255.255.0 up

$bb mkdir -p /tools/dev /tools/proc
$bb mount -t devtmpfs devtmpfs /tools/dev
$bb mount -t proc proc /tools/proc
tools() { $bb chroot /tools "$@"; }
tools /sbin/sgdisk --zap-all --new=1:1M:+48M --typecode=1:ef00 --new=2:0:0 --typecode=2:8300 /dev/vda
while ! [ -b /dev/vda2 ]; do $bb sleep 0.1; done
tools /sbin/mkfs.fat -F 32 /dev/vda1
tools /sbin/mkfs.ext4 -q -F -L root /dev/vda2

$bb mount -t ext4 /dev/vda2 /target
$bb wget -q -O - http://{server}/root.tar.gz | $bb gunzip | $bb tar -x -f - -C /target

$bb mkdir -p /target/boot/efi /target/proc /target/sys /target/dev /target/etc/default
$bb echo "LABEL=root / ext4 errors=remount-ro 0 1" >/target/etc/fstab
$bb echo "GRUB_TIMEOUT=0" >/target/etc/default/grub
$bb rm -f /target/etc/ssh/ssh_host_*
: >/target/etc/machine-id
$bb mount -t proc proc /target/proc
$bb mount -t sysfs sysfs /target/sys
$bb mount -t devtmpfs devtmpfs /target/dev
root() { $bb chroot /target /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
root modprobe -a vfat nls_cp437 nls_ascii
$bb mount -t vfat /dev/vda1 /target/boot/efi
root grub-install --target={grub} --efi-directory=/boot/efi --removable --no-nvram
root update-grub
root update-initramfs -u -k all

trap - EXIT
$bb umount /target/boot/efi
$bb sync
$bb echo "{done}"
$bb reboot -f
