/* SPDX-License-Identifier: MIT */
/*
 * Any requests, with any data, and any pieces of uploads, to the real handlers:
 * each is answered within bounds, an error with words, and an image that VMs
 * may use has the SHA-256 that it was announced with.
 */
#include "fuzz_input.h"
#include "tests/unit/image_store.h"

#include <bearssl/bearssl_hash.h>
#include <mullion/manage.h>

#define STEPS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Mostly small, as numbers of things and offsets are. */
static uint64_t any_number(void)
{
	uint8_t choice = (uint8_t)any(1);

	return choice < 200 ? choice % 8 : choice < 240 ? any(2) : any(8);
}

/* Of at most @most bytes. */
static size_t any_bytes(uint8_t *to, size_t most)
{
	size_t length = any(2) % (most + 1);

	if (length > input.size)
		length = input.size;
	memcpy(to, input.data, length);
	input.data += length;
	input.size -= length;
	return length;
}

static void start(void)
{
	static const struct mull_boot_info boot;
	struct mull_vm *description = &boot_package.vms[0];

	if (vms[0])
		return;
	virt = &fake_virt_ops;
	machine_start();
	manage_describe(&boot, boot_package.sha256);
	strcpy(description->name, "fuzz");
	description->memory_size = FRAME_SIZE;
	description->vcpu_count = 1;
	description->initrd = MULL_NO_IMAGE;
	description->console_size = KIB(4);
	manage_add_vm(vm_create(description, 0, NULL));
}

static void check_answer(void)
{
	require(answer.length <= sizeof answer.data);
	require(!answer.reply.error || answer.length);
	require(answer.reply.sequence == sequence);
}

static void any_request(void)
{
	uint8_t data[MULL_REQUEST_DATA_MAX];
	uint32_t command = (uint32_t)any(1) % 80;
	uint32_t number = (uint32_t)any_number();
	uint64_t argument = any_number();

	ask_data(command, number, argument, data,
		 any(1) % 4 ? 0 : any_bytes(data, sizeof data));
	check_answer();
}

/* What a fuzzer would not guess: names, sizes and a hash that fit. */
static void any_upload(uint8_t *bytes)
{
	struct mull_upload upload = { .name = { (char)('a' + any(1) % 4) },
				      .kind = 1 + any(1) % 3,
				      .compression = any(1) % 2,
				      .size = 1 + any(1) };
	br_sha256_context sha256;

	memset(bytes, (int)any(1), upload.size);
	br_sha256_init(&sha256);
	br_sha256_update(&sha256, bytes, upload.size);
	br_sha256_out(&sha256, upload.sha256);
	upload.wire_size = upload.compression ? any_number() : upload.size;
	if (any(1) % 4 == 0)
		upload.size = any_number();
	begin_upload(&upload);
	check_answer();
}

static void any_piece(const uint8_t *bytes)
{
	uint8_t data[1016];
	uint64_t offset = any(1) % 4 ? answer.reply.value : any_number();
	size_t length;

	if (any(1) % 2) {
		length = any(1) + 1;
		memcpy(data, bytes, length);
	} else {
		length = any_bytes(data, sizeof data);
	}
	give_data((uint32_t)any_number(), offset, data, length);
	check_answer();
}

/* Every image that can be used is what it was announced to be. */
static void check_images(void)
{
	uint8_t bytes[256], digest[br_sha256_SIZE];

	for (uint32_t i = 1; i < MULL_IMAGE_MAX; i++) {
		struct load_image image = image_find(i);
		br_sha256_context sha256;

		if (!image.record || image.record->size > sizeof bytes)
			continue;
		image_read(&image, 0, bytes, image.record->size);
		br_sha256_init(&sha256);
		br_sha256_update(&sha256, bytes, image.record->size);
		br_sha256_out(&sha256, digest);
		require(!memcmp(digest, image.record->sha256, sizeof digest));
	}
}

/* Nothing of the store is left when all its images are deleted. */
static void check_leaks(void)
{
	for (uint32_t i = 1; i < MULL_IMAGE_MAX; i++)
		ask(MULL_COMMAND_IMAGE_DELETE, 0, i);
	for (uint32_t i = 0; i <= POOL_FRAMES; i++)
		require(frame_owner_of(i) != FRAME_STORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[256]; /* of the image that is announced */

	start();
	input.data = data;
	input.size = size;
	for (int i = 0; i < STEPS_MAX && input.size; i++) {
		switch (any(1) % 4) {
		case 0:
			any_request();
			break;
		case 1:
			any_upload(bytes);
			break;
		case 2:
			any_piece(bytes);
			break;
		default:
			for (uint64_t steps = any(1); steps; steps--)
				upload_work();
		}
		for (uint32_t k = 0; k < MULL_VM_MAX; k++)
			if (vms[k])
				vm_work(vms[k]);
		require(!fake_fpu_open);
	}
	check_images();
	check_leaks();
	return 0;
}
