#!/bin/sh
# SPDX-License-Identifier: MIT
# The first process of the host that load_kvm.py makes: a Debian kernel with KVM
# and QEMU, and what stands in its initramfs beside them.  host.do= on the
# kernel's command line says what it does; it powers off then.
export PATH=/bin:/sbin:/usr/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2> /dev/null
mkdir -p /run
mount -t tmpfs tmpfs /run
cd /run || exit
word() {
	sed -n "s/.*$1=\([^ ]*\).*/\1/p" /proc/cmdline
}
vhost=$(word host.vhost)

insert() {
	for module in "$@"; do
		insmod "/lib/modules/$module.ko" || echo "HOST no $module"
	done
}
# A guest that halts gives its CPU back at once: waiting for it to go on would
# be counted, and lasts as long as the emulator is slow.
insert irqbypass
insmod /lib/modules/kvm.ko halt_poll_ns=0
insert "$(word host.kvm)"
test "$(word host.do)" = exits ||
	insert virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev \
		virtio_pci failover net_failover virtio_net virtio_blk \
		llc stp bridge tun tap vhost_iotlb vhost vhost_net
mkdir -p /dev/net
test -e /dev/net/tun || mknod /dev/net/tun c 10 200

# guest NAME WORDS...: /guest/NAME is its kernel's command line.
guest() {
	name=$1
	shift
	qemu-system-x86_64 -L /usr/share/qemu -nodefaults -display none \
		-machine q35,accel=kvm -cpu host -m 256 -smp 1 -no-reboot \
		-monitor none -serial stdio -kernel /guest/vmlinuz \
		-initrd /guest/initrd \
		-append "$(cat "/guest/$name")" "$@"
}
disk() {
	echo "-drive if=none,id=$1,format=raw,file=$2,$3"
	echo "-device virtio-blk-pci,drive=$1,disable-legacy=on"
}
card() {
	echo "-netdev tap,id=net,ifname=$1,script=no,downscript=no,vhost=$vhost"
	echo "-device virtio-net-pci,netdev=net,mac=$2,disable-legacy=on,romfile="
}
bridge() {
	brctl addbr br0
	ifconfig br0 up
	for tap in "$@"; do
		test -e "/sys/class/net/$tap" || tunctl -t "$tap" > /dev/null
		ifconfig "$tap" up
		brctl addif br0 "$tap"
	done
}
case $(word host.do) in
streams)
	bridge tap0 tap1
	# shellcheck disable=SC2046 # words
	guest take $(card tap0 52:54:00:00:00:02) < /dev/null > /run/take 2>&1 &
	# shellcheck disable=SC2046
	guest send $(card tap1 52:54:00:00:00:01) < /dev/null
	;;
blocks)
	head -c "$(word host.size)" /dev/zero > /run/memory.img
	# shellcheck disable=SC2046
	guest disks $(disk memory /run/memory.img cache=writeback) \
		$(disk nvme /dev/nvme0n1p1 cache=none,aio=native) \
		$(disk virtio /dev/vda1 cache=none,aio=native) < /dev/null
	;;
exits)
	kvm_launcher /guest/bench.elf "$(word host.vcpus)" \
		"$(word host.bench | tr + ' ')"
	;;
uplink)
	ifconfig eth0 up
	bridge eth0 tap0
	# shellcheck disable=SC2046
	guest send $(card tap0 52:54:00:00:00:01) < /dev/null
	;;
esac
echo "HOST done"
sync
sleep 3 # until a slow line has sent it
poweroff -f
