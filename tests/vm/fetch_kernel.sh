#!/bin/sh
# Gets the kernel that guests run: Debian's newest for this release, unpacked and not installed.
#
#   fetch_kernel.sh DIRECTORY
#
# Leaves DIRECTORY/boot/vmlinuz-* and DIRECTORY/lib/modules. Nothing is done when they are there.
set -eu
mkdir -p "$1"
cd "$1"
ls boot/vmlinuz-* >/dev/null 2>&1 && [ -e ready ] && exit 0
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
[ -n "$package" ] || { echo "apt knows no kernel; apt-get update?" >&2; exit 1; }
rm -rf boot lib ./*.deb
apt-get download -q "$package"
dpkg -x ./*.deb .
rm -rf ./*.deb usr boot/System.map*
# Debian keeps modules in lib/modules; depmod fails where there are none.
/sbin/depmod -b . "$(ls lib/modules)"
touch ready
