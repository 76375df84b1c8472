#!/bin/busybox sh
# The first process of a guest: loads the modules, mounts the host's root read-only over 9p, and runs
# the script that lies in the directory of results there. Leaves by the isa-debug-exit device.
# Everything that can be written is below /run, which is the guest's own.
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do
    insmod "/modules/$module" 2>/dev/null
done </modules/order
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /host
for at in dev proc sys; do mount --bind "/$at" "/host/$at"; done
mount -t tmpfs run /host/run
mkdir -p /host/run/guest /host/run/results /dev/shm
mount -t tmpfs shm /host/dev/shm
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none results /host/run/results
chroot /host /bin/sh /run/results/script.sh
echo "$?" >/host/run/results/exit
sync
printf '\000' | dd of=/dev/port bs=1 seek=$((0xf4)) 2>/dev/null
poweroff -f
