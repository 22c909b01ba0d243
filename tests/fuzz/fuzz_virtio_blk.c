/* SPDX-License-Identifier: MIT */
/*
 * A hostile virtio disk: it answers with any bytes, gives any chains back, and
 * lies about where its registers are.
 */
#include "drivers/virtio_blk.c"

#include "fuzz_disk.h"

static uint8_t status;

static void set_area(uint32_t at, uint32_t next, uint32_t type, uint32_t offset,
		     uint32_t length)
{
	config[at / 4] = type << 24 | 20 << 16 | next << 8 |
			 PCI_CAPABILITY_VENDOR;
	config[at / 4 + 2] = offset;
	config[at / 4 + 3] = length;
	config[at / 4 + 4] = 4;
}

static void on_notify(void)
{
	struct disk *disk = &disks[0];
	uint8_t *areas = arch_direct(virtio_ring_device(&disk->ring));
	uint16_t index = disk->ring.used;
	uint32_t entry[2] = { any(1) % 32, (uint32_t)any(4) };

	for (uint32_t i = 0; i < disk->ring.size; i++)
		if (disk->ring.chain[i] && any(1) & 1)
			entry[0] = i;
	entry[0] = (uint32_t)perhaps(entry[0], 4);
	if (any(1) % 4 == 0)
		return;
	memcpy(areas + 4 + 8 * (index % disk->ring.size), entry, 8);
	index = (uint16_t)perhaps(index + 1, 2);
	memcpy(areas + 2, &index, 2);
	disk->shared->status[any(1) % BLOCK_SLOTS] = (uint8_t)any(1) & 1;
}

static uint64_t device_read(uint32_t offset)
{
	static const uint32_t disk_config[6] = { 64, 0, 65536, 8, 0, 512 };

	if (offset >= 0x2000 && offset < 0x2018)
		return perhaps(disk_config[(offset - 0x2000) / 4], 4);
	switch (offset) {
	case 0x04:
		return perhaps(1, 4) | 0x244;
	case 0x14:
		return perhaps(status, 1);
	case 0x18:
		return perhaps(32, 2);
	case 0x1a:
		return perhaps(0xffff, 2);
	case 0x1e:
		return perhaps(0, 2);
	}
	return any(4);
}

static void device_write(uint32_t offset, uint64_t value)
{
	if (offset == 0x14)
		status = (uint8_t)value;
	else if (offset >= 0x3000 && status & 4)
		on_notify();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin(data, size, 0x10421af4, 0x010000);
	disk_count = status = 0;
	config[1] = BIT(20);
	config[13] = 0x40;
	set_area(0x40, 0x54, 1, 0, 0x38);
	set_area(0x54, 0x68, 2, 0x3000, 0x100);
	set_area(0x68, 0, 4, 0x2000, 0x40);
	damage_config();
	pci_quiesce();
	virtio_blk_start();
	send_some();
	if (disks[0].shared) /* which the driver keeps for good */
		page_free(disks[0].shared, 1);
	if (disks[0].ring.areas)
		page_free(disks[0].ring.areas, 1);
	memset(disks, 0, sizeof disks);
	return 0;
}
