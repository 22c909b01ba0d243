/* SPDX-License-Identifier: MIT */
/*
 * Any requests to two private disks over one base, one with its changes in
 * memory, the other with them on a partition that has anything in it: nothing
 * outside the guest's memory, that partition and the map is written, what
 * well-behaved requests read is what they wrote, and after a loss of power each
 * sector is as it was flushed or as it was written since.
 */
#include "fuzz_input.h"
#include "tests/unit/virtio_registers.h"

#include <arch/fake/fake.h>
#include <mullion/guest.h>
#include <mullion/log.h>

#define BASE_SIZE (KIB(20) + 1024) /* the last block is short */
#define PLACES 4		   /* it is full soon */
#define CHANGES_SIZE ((2 + PLACES) * OVERLAY_BLOCK)
#define MAP_FRAMES 3 /* a map, and the two of the overlay in memory */
#include "tests/unit/overlay_disk.h"

#define SECTORS (BASE_SIZE / SECTOR)
#define PLACES_AT (2 * OVERLAY_BLOCK)
#define STEPS_MAX 60
#define WORK_MAX 2000
#define HEADER 0x5000 /* and others behind it */
#define STATUS_AT 0x6000
#define DATA 0x8000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT, IN_MEMORY, DISKS }; /* and their slots */

static struct vcpu first;
static struct virtio_block disks[DISKS];
static struct block_flight flights[DISKS][BLOCK_FLIGHTS];
static uint8_t original[BASE_SIZE];
/* What a sector is now, and all that it may be after a loss of power: one byte
 * tells its content, which is all the same. */
static uint8_t model[DISKS][SECTORS];
static bool legal[SECTORS][256];

/* ---- the rest of the hypervisor ------------------------------------------- */

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	(void)message;
	model_require(to == &vm);
	return true;
}

uint32_t vm_home(const struct vm *of)
{
	model_require(of == &vm);
	return 0;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	(void)format;
	model_require(vcpu == &first);
}

void log_write(const char *format, ...)
{
	(void)format;
}

_Noreturn void panic(const char *format, ...)
{
	(void)format;
	abort();
}

/* ---- disks ---------------------------------------------------------------- */

static void make_base(void)
{
	if (original[0])
		return;
	for (uint64_t i = 0; i < SECTORS; i++)
		memset(original + i * SECTOR, (int)i + 1, SECTOR);
	memcpy(base, original, sizeof base);
}

static void make_disk(uint32_t index)
{
	struct virtio_block *disk = &disks[index];

	vm.description.disks[index].flags = MULL_DISK_PRIVATE;
	virtio_block_init(&vm, disk, index, index);
	guest_pci_add(&vm, &disk->device.function);
	disk->partition = &base_partition;
	disk->flights = flights[index];
	disk->over = true;
	if (index == KEPT)
		disk->changes = &changes_partition;
}

static bool open_memory(void)
{
	const char *words;

	return !memory_disk_open_over(&disks[IN_MEMORY].disk, BASE_SIZE,
				      map_numbers + 1, 2, &words);
}

/* Whether what is there is an overlay, or nothing. */
static bool open_kept(void)
{
	struct virtio_block *disk = &disks[KEPT];
	bool done = false;

	model_require(!overlay_lay_out(&disk->overlay, BASE_SIZE, CHANGES_SIZE,
				       map_numbers));
	virtio_block_start(disk);
	for (int i = 0; !done; i++) {
		model_require(i < WORK_MAX);
		if (virtio_block_open(disk, &done))
			return false;
		if (sent)
			come_back(ERR_NONE);
	}
	return true;
}

static void put_entry(uint32_t entry, uint32_t place)
{
	memcpy(cache + OVERLAY_BLOCK + entry * sizeof place, &place,
	       sizeof place);
}

/* A good header, mostly, and some entries; or a word of anything. */
static void damage(void)
{
	uint8_t how = (uint8_t)any(1);
	uint32_t count = how % 8;

	if (how & 8) {
		overlay_make_header(&disks[KEPT].overlay, base_partition.guid,
				    cache);
		for (uint32_t i = 0; i < count; i++)
			put_entry((uint32_t)any(1) % 8,
				  (uint32_t)any(1) % (PLACES + 2));
	}
	for (uint32_t i = 0; i < SECTORS; i++) /* as if written before */
		memset(cache + PLACES_AT + i % (PLACES * 8) * SECTOR,
		       how & 16 ? 0x40 + (int)i : 0, SECTOR);
	if (how & 32)
		cache[any(2) % PLACES_AT] = (uint8_t)any(1);
	if ((how & 224) == 224)
		put_entry((uint32_t)any(2) % OVERLAY_ENTRIES, (uint32_t)any(4));
	memcpy(stable, cache, sizeof stable);
}

/* ---- requests, and what a sector may have --------------------------------- */

static uint8_t tag_of(const uint8_t *sector)
{
	model_require(!memcmp(sector, sector + 1, SECTOR - 1));
	return *sector;
}

static bool keep_any(void)
{
	static uint8_t bits;
	static uint32_t count;

	if (!count--) {
		bits = (uint8_t)any(1);
		count = 7;
	}
	return bits >> count & 1;
}

static void check_power(void)
{
	lose_power(PLACES_AT, keep_any);
	for (uint32_t i = 0; i < SECTORS; i++)
		model_require(legal[i][tag_of(resolve(crashed, i))]);
}

/* In the middle of a good driver's request, too, after so many of a disk's. */
static uint32_t looks_after;

static void complete(bool well)
{
	come_back(well ? ERR_NONE : ERR_DEVICE);
	if (looks_after && !--looks_after)
		check_power();
}

static void work(void)
{
	for (int i = 0;; i++) {
		model_require(i < WORK_MAX);
		if (!guest_pci_work(&vm)) {
			if (!sent)
				return;
			complete(true);
		}
	}
}

static uint8_t ask(uint32_t type, uint64_t sector, uint32_t length,
		   uint32_t split)
{
	uint16_t how = type == 0 ? NEXT | WRITE : NEXT;
	uint16_t given = used_count();

	put_32(HEADER, type);
	put_64(HEADER + 8, sector);
	describe(0, HEADER, 16, NEXT, 1);
	describe(1, DATA, split % (length + 1), how, 2);
	describe(2, DATA + split % (length + 1), length - split % (length + 1),
		 how, 3);
	describe(3, STATUS_AT, 1, WRITE, 0);
	ram[STATUS_AT] = 0xee;
	make_available(0);
	notify();
	work();
	model_require(used_count() == (uint16_t)(given + 1));
	return ram[STATUS_AT];
}

static void allow_only(uint32_t sector, uint8_t tag)
{
	memset(legal[sector], 0, sizeof legal[sector]);
	legal[sector][tag] = true;
}

/* By what can be read of it, which is all. */
static void learn(uint32_t index, bool must)
{
	slot = index;
	model_require(ask(0, 0, BASE_SIZE, 700) == 0);
	for (uint32_t i = 0; i < SECTORS; i++) {
		uint8_t tag = tag_of(ram + DATA + i * SECTOR);

		model_require(!must || tag == model[index][i]);
		model[index][i] = tag;
		if (index == KEPT)
			legal[i][tag] = true;
	}
}

static void write_well(uint32_t index, uint32_t sector, uint32_t count)
{
	static uint8_t tag;
	uint8_t status;

	slot = index;
	for (uint32_t i = 0; i < count; i++) {
		memset(ram + DATA + i * SECTOR, ++tag, SECTOR);
		if (index == KEPT)
			legal[sector + i][tag] = true;
	}
	status = ask(1, sector, count * SECTOR, (uint32_t)any(1));
	if (!status)
		for (uint32_t i = 0; i < count; i++)
			model[index][sector + i] = (uint8_t)(tag - count + 1 +
							     i);
	else
		learn(index, false); /* it is full: some of it is written */
}

static void flush_well(uint32_t index)
{
	slot = index;
	if (ask(4, 0, 0, 0) || index != KEPT)
		return;
	looks_after = 0; /* what may be there is told anew */
	for (uint32_t i = 0; i < SECTORS; i++)
		allow_only(i, model[KEPT][i]);
}

static void well_behaved(void)
{
	uint32_t index = (uint32_t)any(1), sector, count;

	slot = index % DISKS; /* their rings are at the same place */
	set_up(VERSION_1);
	for (uint32_t i = index >> 4; i; i--) {
		sector = (uint32_t)any(1) % SECTORS;
		count = 1 + (uint32_t)any(1) % 20;
		if (count > SECTORS - sector)
			count = SECTORS - sector;
		looks_after = (uint32_t)any(1) % 8;
		write_well(index % DISKS, sector, count);
		if (count % 4 == 0)
			flush_well(index % DISKS);
	}
	looks_after = 0;
	check_power();
	learn(index % DISKS, true);
}

/* ---- a driver that is not -------------------------------------------------- */

static uint64_t any_place(void)
{
	static const uint64_t places[] = {
		DATA, HEADER, STATUS_AT, INDIRECT, RAM_SIZE - 700, ~0ull - 600
	};
	uint8_t choice = (uint8_t)any(1);

	return choice < 8 ? any(8) :
			    places[choice % ARRAY_COUNT(places)] + choice / 64;
}

static uint32_t any_length(void)
{
	static const uint32_t lengths[] = {
		0, 1, 16, 17, 512, 1024, 4096, KIB(12), 513, BASE_SIZE
	};
	uint8_t choice = (uint8_t)any(1);

	return choice < 8  ? (uint32_t)any(4) :
	       choice < 64 ? choice * SECTOR :
			     lengths[choice % ARRAY_COUNT(lengths)];
}

static void any_header(void)
{
	uint64_t at = HEADER + any(1) % 4 * 8;
	uint8_t type = (uint8_t)any(1), sector = (uint8_t)any(1);

	put_32(at, type < 8 ? (uint32_t)any(4) : type % 5);
	put_64(at + 8, sector < 8   ? any(8) :
		       sector < 128 ? SECTORS - sector % 16 :
				      sector);
}

static void any_request(void)
{
	uint8_t type = (uint8_t)any(1);

	any_header();
	describe(0, HEADER + type % 4 * 8, 16, NEXT, 1);
	describe(1, any_place(), any_length(), NEXT | (type & 4 ? WRITE : 0),
		 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	make_available(0);
	notify();
}

static void any_descriptor(void)
{
	uint64_t table = any(1) % 4 ? DESCRIPTORS : INDIRECT;
	uint32_t index = (uint32_t)any(1) % 10;
	uint64_t place = any_place();
	uint32_t length = any_length();

	describe_at(table, index, place, length, (uint16_t)(any(1) % 8),
		    (uint16_t)(any(1) % 10));
}

static void settle(void)
{
	for (int i = 0; !virtio_block_settle(&disks[KEPT]); i++) {
		model_require(i < WORK_MAX);
		if (sent)
			complete(true);
	}
	guest_pci_reset(&vm);
}

static void hostile_step(void)
{
	uint8_t what = (uint8_t)any(1);

	slot = what / 8 % DISKS;
	switch (what % 8) {
	case 0:
		set_up(VERSION_1 | (uint64_t)(what / 32 % 4) << 28 |
		       (uint64_t)(what / 128) << 34);
		break;
	case 1:
		any_descriptor();
		break;
	case 2:
		make_available((uint16_t)(any(1) % 10));
		notify();
		break;
	case 3:
		guest_pci_work(&vm); /* one piece */
		break;
	case 4:
		if (sent)
			complete(what / 16 % 4); /* one of four fails */
		break;
	case 5:
		if (!sent && what / 16 == 3)
			settle();
		break;
	default:
		any_request();
		break;
	}
}

static void require_order(void)
{
	const struct overlay *overlay = &disks[KEPT].overlay;
	uint32_t used = 0;

	model_require(!memcmp(base, original, sizeof base));
	model_require(overlay->used <= overlay->places);
	model_require(overlay_is_empty(map_frames[0] + 64, OVERLAY_BLOCK - 64));
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t place = ((uint32_t *)map_frames[0])[i];

		model_require(place <= PLACES);
		used += place != 0;
	}
	model_require(used == overlay->used);
	model_require(disks[IN_MEMORY].disk.used <=
		      disks[IN_MEMORY].disk.places);
}

/* A good driver behind it: what it writes is there, and nothing else changes,
 * whatever there was before. */
static void require_health(uint32_t index)
{
	static uint8_t seen[BASE_SIZE];

	guest_pci_reset(&vm); /* the other one has the same rings */
	slot = index;
	set_up(VERSION_1);
	model_require(ask(0, 0, BASE_SIZE, 900) == 0);
	memcpy(seen, ram + DATA, sizeof seen);
	for (uint8_t i = 0; i < 3; i++) {
		uint64_t sector = any(1) % SECTORS;
		uint32_t count = 1 + (uint32_t)any(1) % 20;
		uint64_t at = sector * SECTOR, length;
		uint8_t status;

		if (count > SECTORS - sector)
			count = (uint32_t)(SECTORS - sector);
		length = count * SECTOR;
		memset(ram + DATA, 0xc0 | i, length);
		status = ask(1, sector, (uint32_t)length, (uint32_t)any(1));
		if (!status)
			memset(seen + at, 0xc0 | i, length);
		model_require(ask(0, 0, BASE_SIZE, 33) == 0);
		if (status) /* any part of it */
			memcpy(seen + at, ram + DATA + at, length);
		model_require(!memcmp(seen, ram + DATA, sizeof seen));
	}
}

/* ---- one life -------------------------------------------------------------- */

static void clear(void)
{
	memset(map_frames[0], 0, OVERLAY_BLOCK + 64);
	memset(map_frames[1], 0, 64);
	memset(ram, 0, HEADER + 64);
	memset(&vm, 0, sizeof vm);
	memset(disks, 0, sizeof disks);
	memset(legal, 0, sizeof legal);
	looks_after = 0;
	clear_disk();
}

static bool begin(void)
{
	fake_cpu_count = 1;
	ram_is_uncounted = true;
	clear();
	make_base();
	vm.vcpus[0] = &first;
	for (uint32_t i = 0; i < DISKS; i++)
		make_disk(i);
	model_require(!overlay_lay_out(&disks[KEPT].overlay, BASE_SIZE,
				       CHANGES_SIZE, map_numbers));
	damage();
	if (!open_memory() || !open_kept())
		return false;
	virtio_block_start(&disks[IN_MEMORY]);
	guest_pci_reset(&vm);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	if (!begin())
		return 0;
	/* Half of all inputs are hostile drivers, then a good one comes. */
	if (any(1) & 1) {
		for (int i = 0; i < STEPS_MAX && input.size; i++)
			hostile_step();
		while (sent)
			complete(true);
		require_order();
		for (uint32_t i = 0; i < DISKS; i++)
			require_health(i);
		settle();
		require_order();
		return 0;
	}
	for (slot = 0; slot < DISKS; slot++) {
		set_up(VERSION_1);
		learn(slot, false);
	}
	for (int i = 0; i < 4 && input.size; i++)
		well_behaved();
	require_order();
	return 0;
}
