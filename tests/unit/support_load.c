/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support_load.h"

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/frame_pool.h>
#include <mullion/guest.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* Frames in falling order from here, so that no guest address is a host's. */
#define LAST_FRAME 6000

static void make_dirty(const struct load_guest *guest)
{
	uint64_t low = guest->memory.regions[0].size;

	for (uint64_t at = 0; at < low && at < MIB(64); at += KIB(4)) {
		uint8_t dirt[KIB(4)];

		memset(dirt, 0xcc, sizeof dirt);
		assert_int_equal(
			guest_write(&guest->memory, gpa(at), dirt, sizeof dirt),
			ERR_NONE);
	}
}

void load_guest_make(struct load_guest *guest, uint64_t low, uint64_t high)
{
	static uint32_t frames[4096];
	uint32_t count = (uint32_t)((low + high) / FRAME_SIZE);

	assert_true(count <= ARRAY_COUNT(frames));
	fake_memory_clear();
	for (uint32_t i = 0; i < count; i++)
		frames[i] = LAST_FRAME - i;
	memset(guest, 0, sizeof *guest);
	guest->memory.region_count = high ? 2 : 1;
	guest->memory.regions[0].size = low;
	guest->memory.regions[0].frames = frames;
	guest->memory.regions[1].start = gpa(GIB(4));
	guest->memory.regions[1].size = high;
	guest->memory.regions[1].frames = frames + low / FRAME_SIZE;
	guest->vm.vcpu_count = 1;
	strcpy(guest->vm.name, "guest");
	guest->load.request.memory_low = low;
	guest->load.request.memory_high = high;
	make_dirty(guest);
}

/* On the heap at its exact size, so that a read behind it is found. */
static struct load_image make_image(struct mull_image *record, uint32_t kind,
				    const void *bytes, uint64_t size)
{
	struct load_image image = { .record = record };
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, bytes, size);
	record->kind = kind;
	record->size = size;
	SHA256(bytes, size, record->sha256);
	image.bytes = copy;
	return image;
}

static enum error run(struct load_guest *guest,
		      const struct load_request *request)
{
	enum error error;
	bool done = false;

	load_begin(&guest->load, request);
	guest->steps = 0;
	do {
		error = load_step(&guest->load, &done);
		guest->steps++;
	} while (!error && !done);
	assert_false(fake_fpu_open);
	assert_true(done == !error);
	assert_true(done == !guest->load.words[0]);
	return error;
}

/* The same bytes in frames of the store: every second one from @first. */
static void put_in_store(struct load_image *image, uint32_t first,
			 uint32_t frames[40])
{
	const uint8_t *bytes = image->bytes;
	uint64_t size = bytes ? image->record->size : 0;

	image->bytes = NULL;
	image->frames = bytes ? frames : NULL;
	frames[0] = first; /* also of an empty one */
	for (uint64_t at = 0; at < size; at += FRAME_SIZE) {
		uint64_t frame = first + at / FRAME_SIZE * 2;
		uint64_t left = size - at;

		assert_true(at / FRAME_SIZE < 40);
		frames[at / FRAME_SIZE] = (uint32_t)frame;
		memcpy(fake_memory(hpa(frame << FRAME_SHIFT)), bytes + at,
		       left < FRAME_SIZE ? left : FRAME_SIZE);
	}
}

enum error load_guest_run(struct load_guest *guest, uint32_t kind,
			  const void *kernel, uint64_t kernel_size,
			  const void *initrd, uint64_t initrd_size)
{
	struct load_request request = {
		.memory = &guest->memory,
		.vm = &guest->vm,
		.memory_low = guest->load.request.memory_low,
		.memory_high = guest->load.request.memory_high,
		.tsc_khz = 2400000,
	};
	uint32_t frames[2 + MULL_MODULE_MAX][40];
	struct load_image *images[] = {
		&request.kernel,     &request.initrd,	  &request.modules[0],
		&request.modules[1], &request.modules[2], &request.modules[3]
	};
	const uint8_t *bytes[2 + MULL_MODULE_MAX];
	enum error error;

	request.kernel = make_image(&guest->kernel, kind, kernel, kernel_size);
	if (initrd)
		request.initrd = make_image(&guest->initrd, MULL_IMAGE_INITRD,
					    initrd, initrd_size);
	for (uint32_t i = 0; i < guest->vm.module_count; i++)
		request.modules[i] = make_image(
			&guest->modules[i].record, MULL_IMAGE_INITRD,
			guest->modules[i].bytes, guest->modules[i].size);
	for (uint32_t i = 0; i < 2 + MULL_MODULE_MAX; i++)
		bytes[i] = images[i]->bytes;
	error = run(guest, &request);
	/* It must not matter where the images lie. */
	if (!error)
		make_dirty(guest);
	for (uint32_t i = 0; i < 2 + MULL_MODULE_MAX; i++)
		put_in_store(images[i], LAST_FRAME + 1 + 100 * i, frames[i]);
	assert_int_equal(run(guest, &request), error);
	for (uint32_t i = 0; i < 2 + MULL_MODULE_MAX; i++)
		free((void *)bytes[i]);
	return error;
}

void load_guest_read(const struct load_guest *guest, uint64_t at, void *to,
		     size_t size)
{
	assert_int_equal(guest_read(&guest->memory, gpa(at), to, size),
			 ERR_NONE);
}

static uint64_t read64(const struct load_guest *guest, uint64_t at)
{
	uint64_t value;

	load_guest_read(guest, at, &value, sizeof value);
	return value;
}

/* Walks the four levels as the processor does; pages end at 2 MiB here. */
static uint64_t translate(const struct load_guest *guest, uint64_t address)
{
	uint64_t table = guest->load.start.cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t entry = read64(guest,
					table + (address >> shift) % 512 * 8);

		assert_int_equal(entry & 3, 3); /* present, write */
		table = entry & 0x000ffffffffff000;
		assert_int_equal(entry >> 7 & 1, shift == 21);
	}
	return table + address % MIB(2);
}

void load_guest_check_long_mode(const struct load_guest *guest)
{
	const struct guest_start *start = &guest->load.start;

	assert_int_equal(start->mode, GUEST_LONG);
	for (uint64_t at = 12345; at < GIB(4); at += MIB(2))
		assert_int_equal(translate(guest, at), at);
	assert_true(start->cs + 7u <= start->gdt_limit);
	assert_true(start->ds + 7u <= start->gdt_limit);
	/* Base 0, limit 4 GiB; present, code, L; present, data, D. */
	assert_int_equal(read64(guest, start->gdt_base + start->cs),
			 0x00af9b000000ffff);
	assert_int_equal(read64(guest, start->gdt_base + start->ds),
			 0x00cf93000000ffff);
	assert_true(start->rsp % 16 == 0 && start->rsp >= KIB(16));
}

void load_guest_check_protected_mode(const struct load_guest *guest)
{
	const struct guest_start *start = &guest->load.start;

	assert_int_equal(start->mode, GUEST_PROTECTED);
	assert_true(start->cs + 7u <= start->gdt_limit);
	assert_true(start->ds + 7u <= start->gdt_limit);
	assert_int_equal(read64(guest, start->gdt_base + start->cs),
			 0x00cf9b000000ffff);
	assert_int_equal(read64(guest, start->gdt_base + start->ds),
			 0x00cf93000000ffff);
	assert_true(start->rsp % 16 == 0 && start->rsp >= KIB(16));
}

const char *load_guest_string(const struct load_guest *guest, uint64_t at)
{
	static char text[MULL_COMMAND_LINE_MAX];

	load_guest_read(guest, at, text, sizeof text);
	assert_non_null(memchr(text, 0, sizeof text));
	return text;
}

static void check_sum(const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += bytes[i];
	assert_int_equal(sum, 0);
}

/* Reads the table at @at whole, checks it, and returns its length. */
static uint32_t read_table(const struct load_guest *guest, uint64_t at,
			   const char *signature, uint8_t table[2048])
{
	uint32_t length;

	assert_true(at >= MULL_GUEST_ACPI_AREA && at < MIB(1));
	load_guest_read(guest, at, table, 36);
	memcpy(&length, table + 4, 4);
	assert_in_range(length, 36, 2048);
	load_guest_read(guest, at, table, length);
	assert_memory_equal(table, signature, 4);
	check_sum(table, length);
	return length;
}

static void check_fadt(const struct load_guest *guest, uint64_t at)
{
	uint8_t fadt[2048], dsdt[2048];
	uint64_t x_dsdt;
	uint32_t dsdt32, facs;

	assert_int_equal(read_table(guest, at, "FACP", fadt), 276);
	memcpy(&dsdt32, fadt + 40, 4);
	memcpy(&x_dsdt, fadt + 140, 8);
	assert_int_equal(dsdt32, x_dsdt);
	read_table(guest, x_dsdt, "DSDT", dsdt);
	if (!(guest->vm.flags & MULL_VM_PLATFORM_PC))
		return;
	memcpy(&facs, fadt + 36, 4);
	load_guest_read(guest, facs, dsdt, 4);
	assert_memory_equal(dsdt, "FACS", 4);
}

/* The interrupt controllers; returns the number of local APICs. */
static uint32_t check_madt(const struct load_guest *guest, uint64_t at)
{
	static const uint8_t nmi[] = { 4, 6, 0xff, 0, 0, 1 };
	uint8_t madt[2048], local[8] = { 0, 8, 0, 0, 1, 0, 0, 0 };
	uint8_t io[12] = { 1, 12, 0, 0, 0, 0, 0xc0, 0xfe };
	uint32_t length = read_table(guest, at, "APIC", madt);
	uint32_t count = 0, io_count = 0, nmi_count = 0, overrides = 0;
	const uint8_t pc = guest->vm.flags & MULL_VM_PLATFORM_PC ? 1 : 0;

	assert_memory_equal(madt + 36, "\0\0\xe0\xfe", 4);
	assert_int_equal(madt[40], pc); /* has a PIC */
	for (uint32_t i = 44; i < length; i += madt[i + 1]) {
		assert_true(madt[i + 1] && madt[i + 1] <= length - i);
		if (madt[i] == 0) {
			local[2] = local[3] = (uint8_t)count++;
			assert_memory_equal(madt + i, local, sizeof local);
		} else if (madt[i] == 1) {
			io[2] = (uint8_t)guest->vm.vcpu_count;
			assert_memory_equal(madt + i, io, sizeof io);
			io_count++;
		} else if (madt[i] == 2) {
			overrides++;
		} else {
			assert_memory_equal(madt + i, nmi, sizeof nmi);
			nmi_count++;
		}
	}
	assert_int_equal(io_count, 1);
	assert_int_equal(nmi_count, 1);
	assert_int_equal(overrides, 2 * pc);
	return count;
}

/* Configuration space of bus 0 alone. */
static void check_mcfg(const struct load_guest *guest, uint64_t at)
{
	static const uint8_t area[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe0,
					0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t mcfg[2048];

	assert_int_equal(read_table(guest, at, "MCFG", mcfg), 36 + sizeof area);
	assert_memory_equal(mcfg + 36, area, sizeof area);
}

uint32_t load_guest_check_acpi(const struct load_guest *guest)
{
	uint8_t rsdp[36], xsdt[2048], table[2048];
	uint64_t at, fadt, madt, mcfg, wdat;

	load_guest_read(guest, MULL_GUEST_ACPI_AREA, rsdp, sizeof rsdp);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	check_sum(rsdp, 20);
	check_sum(rsdp, 36);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(rsdp[20], 36);
	memcpy(&at, rsdp + 24, 8);
	/* The last of four is the watchdog's. */
	assert_int_equal(read_table(guest, at, "XSDT", xsdt),
			 36 + (guest->vm.watchdog ? 4 : 3) * 8);
	memcpy(&fadt, xsdt + 36, 8);
	memcpy(&madt, xsdt + 44, 8);
	memcpy(&mcfg, xsdt + 52, 8);
	if (guest->vm.watchdog) {
		memcpy(&wdat, xsdt + 60, 8);
		read_table(guest, wdat, "WDAT", table);
	}
	check_mcfg(guest, mcfg);
	check_fadt(guest, fadt);
	return check_madt(guest, madt);
}
