#!/bin/busybox sh
# The first process of the virtual machine: the machine outside is its / (what is written is lost), the modules that balancing
# needs are loaded, $VM_JOB/run is run, and its exit status is told on the first serial line before the power goes off.
bb=/bin/busybox
V=$($bb uname -r)
M=/usr/lib/uml/modules/$V
$bb mount -t tmpfs t /mnt
$bb mkdir /mnt/upper /mnt/work /mnt/root
$bb insmod "$M/kernel/fs/overlayfs/overlay.ko"
$bb mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work o /mnt/root
cd /mnt/root || exit 1
$bb mkdir -p .old lib/modules
$bb pivot_root . .old
cd /
$bb umount -l /.old
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs dev /dev
$bb mkdir -p /dev/pts /dev/shm
$bb mount -t devpts devpts /dev/pts
$bb mount -t tmpfs shm /dev/shm
$bb mount -t tmpfs -o mode=755 run /run
for i in fd: stdin:/0 stdout:/1 stderr:/2; do $bb ln -sfn "/proc/self/fd${i#*:}" "/dev/${i%:*}"; done
$bb ln -sfn "$M" "/lib/modules/$V"
# The kernel loads further ones (schedulers) by this name.
[ -e /sbin/modprobe ] || $bb ln -s $bb /sbin/modprobe
for m in ipv6 veth bridge dummy ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_lblc ip_vs_lblcr ip_vs_sh ip_vs_dh ip_vs_sed ip_vs_nq \
         ip_vs_mh ip_vs_fo ip_vs_ovf ip_vs_pe_sip ipip fou ip_gre nlmon sch_ingress cls_matchall cls_flower act_skbedit sctp; do
    $bb modprobe "$m" || echo "no module $m" >&2
done
$bb ip link set lo up
$bb hostname vm
$bb stty -F /dev/ttyS0 raw -echo
PATH=/usr/sbin:/usr/bin:/sbin:/bin $bb sh "$VM_JOB/run" </dev/null >/dev/ttyS0 2>&1
echo "vm: status $?" >/dev/ttyS0
$bb sync
$bb poweroff -f
