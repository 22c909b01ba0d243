/* SPDX-License-Identifier: MIT */
/*
 * Any accesses to the PCI bus and any rings, from a driver that is set up well
 * now and then: nothing outside the guest's memory is touched, messages are
 * such as an APIC takes, work comes to an end, and a reset heals everything.
 */
#include "fuzz_device.h"
#include "fuzz_input.h"
#include "tests/unit/virtio_driver.h"

#include <mullion/guest.h>
#include <mullion/virtio.h>
#include <mullion/vm.h>

#define SLOTS 2
#define STEPS_MAX 200
#define WORK_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_device devices[SLOTS]; /* one echoes, one is entropy */

/* ---- the rest of the hypervisor ------------------------------------------- */

static bool echo(struct vm *of, struct virtio_device *device, uint32_t queue)
{
	const struct virtqueue *ring = &device->queues[queue];
	const struct virtio_chain *chain = &device->chain;
	uint8_t bytes[256];
	uint32_t length = sizeof bytes;

	if (!virtio_take(of, device, queue))
		return false;
	require(chain->readable + chain->writable <= VIRTQUEUE_SIZE_MAX);
	if (chain->readable_bytes < length)
		length = (uint32_t)chain->readable_bytes;
	if (chain->writable_bytes < length)
		length = (uint32_t)chain->writable_bytes;
	if (virtio_chain_read(ring, chain, 0, bytes, length) ||
	    virtio_chain_write(ring, chain, 0, bytes, length)) {
		virtio_break(of, device, "not in its memory");
		return false;
	}
	virtio_give(of, device, queue, length);
	return true;
}

static const struct virtio_type echoes = {
	.id = VIRTIO_ID_BLOCK,
	.queue_count = 2,
	.config_size = 7,
	.work = echo,
};

/* What the driver uses, which is not all that there is. */
static void clear(void)
{
	memset(ram, 0, 0xc000);
}

/* ---- a driver ------------------------------------------------------------- */

static uint64_t ecam(uint32_t slot)
{
	return MULL_GUEST_ECAM + (slot << 15);
}

static uint64_t bar(uint32_t slot)
{
	return guest_pci_read(&vm, gpa(ecam(slot) + 0x10), 4);
}

static void set(uint32_t slot, uint32_t offset, uint32_t size, uint64_t value)
{
	guest_pci_write(&vm, gpa(bar(slot) + offset), size, value);
}

static void set_up(uint32_t slot, uint8_t how)
{
	guest_pci_write(&vm, gpa(ecam(slot) + 4), 2, 2);
	guest_pci_write(&vm,
			gpa(ecam(slot) + devices[slot].function.msix_cap + 2),
			2, how & 4 ? 0x8000 : 0);
	set(slot, 0x14, 1, 0);
	set(slot, 0x08, 4, 0);
	set(slot, 0x0c, 4, (uint32_t)how << 28 & 0x30000000);
	set(slot, 0x08, 4, 1);
	set(slot, 0x0c, 4, how & 8 ? 5 : 1);
	set(slot, 0x14, 1, 11);
	set(slot, 0x16, 2, 0);
	set(slot, 0x18, 2, QUEUE_SIZE);
	set(slot, 0x1a, 2, 0);
	set(slot, 0x20, 8, DESCRIPTORS);
	set(slot, 0x28, 8, DRIVER);
	set(slot, 0x30, 8, DEVICE);
	set(slot, 0x1c, 2, 1);
	set(slot, 0x14, 1, 15);
	for (uint32_t i = 0; i < 4; i++)
		set(slot, 0x4000 + 4 * i, 4, i == 0 ? 0xfee00000 : 0x40 & -i);
	memset(ram + DRIVER, 0, 64);
	memset(ram + DEVICE, 0, 128);
}

static void work(void)
{
	for (int i = 0; guest_pci_work(&vm); i++)
		require(i < WORK_MAX);
}

static uint64_t any_place(void)
{
	static const uint64_t places[] = { 0x8000, INDIRECT, DESCRIPTORS,
					   RAM_SIZE - 4, ~0ull - 4 };
	uint8_t choice = (uint8_t)any(1);

	return choice < 16 ? any(8) : places[choice % ARRAY_COUNT(places)];
}

static void write_descriptor(void)
{
	uint64_t table = any(1) % 4 ? DESCRIPTORS : INDIRECT;
	uint32_t index = (uint32_t)any(1) % 10;
	uint8_t length = (uint8_t)any(1);
	uint16_t flags = (uint16_t)any(1), next = (uint16_t)(any(1) % 10);

	/* In a packed one an id comes first, and flags are more. */
	if (next == 9)
		describe_at(table, index, any_place(), length, index,
			    (uint16_t)(flags | any(1) << 8));
	else
		describe_at(table, index, any_place(),
			    length < 8 ? (uint32_t)any(4) : length, flags,
			    next);
}

static void access(uint32_t slot)
{
	static const uint32_t pages[] = { 0,	  0,	  0,
					  0x1000, 0x2000, 0x3000,
					  0x4000, 0x5000, 0x6000 };
	uint8_t what = (uint8_t)any(1);
	uint32_t size = 1u << what % 4;
	uint64_t at = what & 4 ?
			      ecam(slot) + any(1) :
			      bar(slot) + pages[any(1) % ARRAY_COUNT(pages)] +
				      any(1) % 0x48;

	if (!guest_pci_is_at(&vm, gpa(at)))
		at = ecam(slot);
	if (what & 8)
		guest_pci_read(&vm, gpa(at), size);
	else
		guest_pci_write(&vm, gpa(at), size, any((unsigned)size));
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);
	uint32_t slot = what / 8 % SLOTS;

	switch (what % 8) {
	case 0:
		set_up(slot, what / 16);
		break;
	case 1:
	case 2:
		write_descriptor();
		break;
	case 3:
		make_available((uint16_t)(any(1) % 10));
		break;
	case 4:
		put_16((what & 16 ? DRIVER : DEVICE) + any(1) % 64 * 2,
		       (uint16_t)any(2));
		break;
	case 5:
		set(slot, 0x3000 + what / 16 * 4, 2, 0);
		break;
	case 6:
		access(slot);
		break;
	case 7:
		work();
		break;
	}
}

static void require_health(void)
{
	guest_pci_reset(&vm);
	clear();
	set_up(0, 7);
	memcpy(ram + 0x8000, "Mullion", 8);
	describe(0, 0x8000, 8, NEXT, 1);
	describe(1, 0x9000, 8, WRITE, 0);
	make_available(0);
	set(0, 0x3000, 2, 0);
	work();
	require(used_count() == 1 && used_length(0) == 8 &&
		!memcmp(ram + 0x9000, "Mullion", 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	memset(&vm, 0, sizeof vm);
	memset(devices, 0, sizeof devices);
	clear();
	vm.vcpus[0] = &first;
	virtio_add(&vm, &devices[0], &echoes, 0);
	virtio_add(&vm, &devices[1], &virtio_entropy, 1);
	guest_pci_reset(&vm);
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	require_health();
	return 0;
}
