# In a mount namespace: ROOT becomes the root, with WORK as /mnt, and SCRIPT runs there.
mount --make-rprivate /
mount --rbind /dev "$ROOT/dev"
mount --rbind /proc "$ROOT/proc"
mount --bind "$WORK" "$ROOT/mnt"
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/var/tmp \
    LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg \
    chroot "$ROOT" sh -euc "cd /mnt; $SCRIPT"
