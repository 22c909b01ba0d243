/* SPDX-License-Identifier: MIT */
/*
 * Any requests to two disks of one image, one of them to read only: nothing
 * outside the guest's memory and the disk's room is touched, the image never
 * changes, and after a reset a well-behaved driver reads what it wrote.
 */
#include "fuzz_device.h"
#include "fuzz_input.h"
#include "tests/unit/virtio_registers.h"

#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/virtio_block.h>

#define SIZE (KIB(80) + 1024) /* two pieces; the last block is short */
#define SECTORS (SIZE / DISK_SECTOR)
#define PLACES 12 /* the room is full soon */
#define FRAMES 3  /* its map, its blocks, and one behind it */
#define STEPS_MAX 100
#define WORK_MAX 2000

#define HEADER 0x5000 /* and others behind it */
#define STATUS_AT 0x6000
#define DATA 0x8000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct virtio_block disks[2]; /* in slots 0 and 1 */
static struct mull_image record = { .size = SIZE, .kind = MULL_IMAGE_DISK };
static uint8_t image[SIZE], original[SIZE], model[SIZE], seen[SIZE];
static uint8_t frames[FRAMES][FRAME_SIZE] __attribute__((aligned(4096)));

/* ---- the rest of the hypervisor ------------------------------------------- */

/* Where unit tests have the real ones' habits, this is fast. */
static void *frame_at(hpa_t frame)
{
	require(frame.value % FRAME_SIZE == 0);
	require(frame.value / FRAME_SIZE < FRAMES - 1);
	return frames[frame.value / FRAME_SIZE];
}

void *arch_window(hpa_t frame)
{
	return frame_at(frame);
}

const void *arch_view(hpa_t frame)
{
	return frame_at(frame);
}

void log_write(const char *format, ...)
{
	(void)format;
}

void block_send(struct block_request *request)
{
	(void)request;
	abort();
}

/* ---- disks ---------------------------------------------------------------- */

/* Once: nothing changes it. */
static void make_image(void)
{
	if (original[SIZE - 1])
		return;
	for (uint64_t i = 0; i < SIZE; i++)
		original[i] = (uint8_t)(i / 100 + 1);
	memcpy(image, original, SIZE);
}

static void make_disks(void)
{
	static const uint32_t room[] = { 0, 1 };
	const struct load_image base = { .record = &record, .bytes = image };
	const char *words;

	for (uint32_t i = 0; i < 2; i++) {
		vm.description.disks[i].flags = i ? MULL_DISK_READ_ONLY :
						    MULL_DISK_PRIVATE;
		virtio_block_init(&vm, &disks[i], i, i);
		guest_pci_add(&vm, &disks[i].device.function);
		require(memory_disk_open(&disks[i].disk, &base, room, i ? 0 : 2,
					 &words) == ERR_NONE);
		virtio_block_start(&disks[i]);
	}
	disks[0].disk.places = PLACES;
}

static void read_disk(const struct memory_disk *disk)
{
	for (uint64_t at = 0; at < SIZE;) {
		uint64_t length = SIZE - at;
		const uint8_t *bytes = memory_disk_at(disk, at, &length);

		memcpy(seen + at, bytes, length);
		at += length;
	}
}

static void require_order(void)
{
	static const uint8_t zeros[DISK_BLOCK];
	const struct memory_disk *disk = &disks[0].disk;
	const uint32_t *map = (const uint32_t *)frames[0];
	uint32_t found = 0;

	require(disk->used <= PLACES);
	for (uint32_t i = 0; i < SIZE / DISK_BLOCK + 1; i++) {
		require(map[i] <= disk->used);
		found += map[i] != 0;
	}
	require(found == disk->used);
	require(!memcmp(frames[0] + DISK_BLOCK, zeros, DISK_BLOCK));
	require(!memcmp(frames[1] + disk->used * DISK_BLOCK, zeros,
			DISK_BLOCK));
	require(!memcmp(image, original, SIZE));
	read_disk(&disks[1].disk);
	require(!memcmp(seen, image, SIZE));
}

/* What was used, which is not all that there is. */
static void clear(void)
{
	memset(frames[0], 0, DISK_BLOCK);
	memset(frames[1], 0, (size_t)disks[0].disk.used * DISK_BLOCK);
	memset(ram, 0, sizeof ram);
	memset(&vm, 0, sizeof vm);
	memset(disks, 0, sizeof disks);
}

/* ---- a driver ------------------------------------------------------------- */

static void work(void)
{
	for (int i = 0; guest_pci_work(&vm); i++)
		require(i < WORK_MAX);
}

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
	static const uint32_t lengths[] = { 0,	     1,	      16,   17,
					    512,     513,     1024, 4096,
					    KIB(64), KIB(80), SIZE };
	uint8_t choice = (uint8_t)any(1);

	return choice < 8  ? (uint32_t)any(4) :
	       choice < 64 ? choice :
			     lengths[choice % ARRAY_COUNT(lengths)];
}

static void any_header(void)
{
	uint64_t at = HEADER + any(1) % 4 * 8;
	uint8_t type = (uint8_t)any(1), sector = (uint8_t)any(1);

	put_32(at, type < 8 ? (uint32_t)any(4) : type % 4 ? type % 2 : type);
	put_64(at + 8, sector < 8   ? any(8) :
		       sector < 128 ? SECTORS - sector % 16 :
				      sector);
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

/* As a driver would: a header, data and a status. */
static void any_request(void)
{
	uint8_t type = (uint8_t)any(1);

	any_header();
	describe(0, HEADER + type % 4 * 8, 16, NEXT, 1);
	describe(1, DATA, any_length(), NEXT | (type & 4 ? WRITE : 0), 2);
	describe(2, STATUS_AT, 1, WRITE, 0);
	make_available(0);
	notify();
}

static void step(void)
{
	uint8_t what = (uint8_t)any(1);

	slot = what / 8 % 4 == 3;
	switch (what % 8) {
	case 0:
		set_up(VERSION_1 | (uint64_t)(what / 32 % 4) << 28 |
		       (uint64_t)(what / 128) << 34);
		break;
	case 1:
		any_descriptor();
		break;
	case 2:
		any_header();
		break;
	case 3:
		make_available((uint16_t)(any(1) % 10));
		notify();
		break;
	case 4:
		guest_pci_work(&vm); /* one piece */
		break;
	case 5:
		work();
		break;
	default:
		any_request();
		break;
	}
}

/* ---- one that obeys the rules --------------------------------------------- */

/* In two odd parts each; returns the status. */
static uint8_t ask(uint32_t type, uint64_t sector, uint32_t length,
		   uint32_t split)
{
	uint16_t how = type ? NEXT : NEXT | WRITE;
	uint16_t given = used_count();

	put_32(HEADER, type);
	put_64(HEADER + 8, sector);
	describe(0, HEADER, split % 16, NEXT, 1);
	describe(1, HEADER + split % 16, 16 - split % 16, NEXT, 2);
	describe(2, DATA, split % length, how, 3);
	describe(3, DATA + split % length, length - split % length, how, 4);
	describe(4, STATUS_AT, 1, WRITE, 0);
	ram[STATUS_AT] = 0xee;
	make_available(0);
	notify();
	work();
	require(used_count() == (uint16_t)(given + 1));
	return ram[STATUS_AT];
}

static void require_health(void)
{
	slot = 0;
	set_up(VERSION_1);
	read_disk(&disks[0].disk);
	memcpy(model, seen, SIZE);
	for (int i = 0; i < 4; i++) {
		uint64_t sector = any(2) % SECTORS;
		uint32_t most = i ? 20 : SECTORS; /* long ones cost time */
		uint32_t count = (uint32_t)(any(1) % (SECTORS - sector)) + 1;
		uint32_t length = (count < most ? count : most) * DISK_SECTOR;
		uint32_t split = (uint32_t)any(2);
		uint8_t *part = model + sector * DISK_SECTOR;

		disks[0].disk.places = PLACES + SIZE / DISK_BLOCK + 1;
		memset(ram + DATA, 0x80 | i, length);
		require(ask(1, sector, length, split) == 0);
		memset(part, 0x80 | i, length);
		memset(ram + DATA, 0, length);
		require(ask(0, sector, length, split + 1) == 0);
		require(!memcmp(ram + DATA, part, length));
	}
	read_disk(&disks[0].disk);
	require(!memcmp(seen, model, SIZE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	fake_cpu_count = 1;
	ram_is_uncounted = true;
	clear();
	make_image();
	vm.vcpus[0] = &first;
	make_disks();
	guest_pci_reset(&vm);
	for (int i = 0; i < STEPS_MAX && input.size; i++)
		step();
	work();
	require_order();
	require_health();
	return 0;
}
