# Installs and starts what the container of the first pvmlab had, from the disk that this script is on.
set -eu
here=/mnt/container

# As in a container, packages start nothing by themselves.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
# Without planning and without waiting for the disk: the quickest way that packages have.
dpkg --force-unsafe-io --install "$here"/packages/*.deb

sysctl --quiet --write net.ipv4.ip_forward=1
nft -f "$here/nat.nft"
supervisord --configuration "$here/supervisord.conf"
echo "container: started" >/dev/console
