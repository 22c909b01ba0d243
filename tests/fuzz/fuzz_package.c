/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a boot package: whatever is not refused lies in it, and every
 * VM that is not refused can be used without a further look.
 * Build: clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined
 *        -Iinclude tests/fuzz/fuzz_package.c kernel/loaders/package.c
 *        kernel/partition/description*.c kernel/format.c
 *        kernel/crc32.c kernel/format.c
 */
#include <mullion/bits.h>
#include <mullion/crc32.h>
#include <mullion/package_reader.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void tell(void *context, const char *words)
{
	size_t *complaints = context;

	require(words[0] && strlen(words) < 256);
	(*complaints)++;
}

/* Gives @count records of @size bytes at @at the CRC that they should have,
 * which no fuzzer guesses; it is their last field. */
static void renew_crcs(uint8_t *bytes, size_t room, uint64_t at, size_t count,
		       size_t size)
{
	for (size_t i = 0; i < count && i < MULL_IMAGE_MAX; i++) {
		uint32_t crc = 0;
		uint8_t *record;

		if (at > room || (i + 1) * size > room - at)
			return;
		record = bytes + at + i * size;
		memcpy(record + size - 4, &crc, 4);
		crc = crc32_ieee(0, record, size);
		memcpy(record + size - 4, &crc, 4);
	}
}

static void make_plausible(uint8_t *bytes, size_t size)
{
	struct mull_package_header header;

	if (size < sizeof header)
		return;
	memcpy(&header, bytes, sizeof header);
	header.magic = MULL_PACKAGE_MAGIC;
	header.version = MULL_PACKAGE_VERSION;
	header.header_size = sizeof header;
	header.vm_size = sizeof(struct mull_vm);
	header.image_size = sizeof(struct mull_image);
	memset(header.reserved, 0, sizeof header.reserved);
	memcpy(bytes, &header, sizeof header);
	renew_crcs(bytes, size, header.vm_offset, header.vm_count,
		   sizeof(struct mull_vm));
	renew_crcs(bytes, size, header.image_offset, header.image_count,
		   sizeof(struct mull_image));
	renew_crcs(bytes, size, 0, 1, sizeof header);
}

static void check_images(const struct package *package, size_t size)
{
	for (uint32_t i = 0; i < package->image_count; i++) {
		struct load_image image = package_image(package, i);
		size_t length = strnlen(package->images[i].name, MULL_NAME_MAX);

		require(length < MULL_NAME_MAX);
		require(!image.bytes == !!package->image_words[i][0]);
		if (!image.bytes)
			continue;
		require(image.bytes >= package->bytes);
		require(image.record->size <= size);
		require((size_t)(image.bytes - package->bytes) <=
			size - image.record->size);
	}
}

static void check_vms(const struct package *package)
{
	for (uint32_t i = 0; i < package->vm_count; i++) {
		const struct mull_vm *vm = &package->vms[i];

		require(strnlen(vm->name, MULL_NAME_MAX) < MULL_NAME_MAX);
		if (package->vm_words[i][0])
			continue;
		require(vm->vcpu_count >= 1 && vm->vcpu_count <= MULL_VCPU_MAX);
		require(vm->memory_size && vm->memory_size % FRAME_SIZE == 0);
		require(package_image(package, vm->kernel).bytes);
		require(vm->initrd == MULL_NO_IMAGE ||
			package_image(package, vm->initrd).bytes);
		require(memchr(vm->command_line, 0, MULL_COMMAND_LINE_MAX));
		require(vm->cache_ways <= 9); /* of 11 */
		require(!vm->cache_code_ways ||
			vm->cache_code_ways < vm->cache_ways);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct package package;
	static const struct cache_plan cache = {
		.means = { .level = 3,
			   .ways = 11,
			   .least = 1,
			   .others = 0x600,
			   .classes = 16,
			   .splits = true,
			   .bandwidth = BANDWIDTH_PERCENT,
			   .bandwidth_classes = 8,
			   .bandwidth_step = 10 }
	};
	const struct mull_limits limits = { .cpu_count = 4, .cache = &cache };
	size_t complaints = 0;
	uint8_t *bytes;

	if (size == 0)
		return 0;
	bytes = malloc(size);
	memcpy(bytes, data, size);
	/* Its last byte says whether to help it over the first checks. */
	if (bytes[size - 1] & 1)
		make_plausible(bytes, size);
	if (package_read(&package, bytes, size, &limits, tell, &complaints)) {
		require(complaints && !package.vm_count);
	} else {
		check_images(&package, size);
		check_vms(&package);
	}
	free(bytes);
	return 0;
}
