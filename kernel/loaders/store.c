/* SPDX-License-Identifier: MIT */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/page.h>
#include <stdatomic.h>

/* Of an image: 2 GiB; their numbers fill a page. */
#define FRAMES_MAX (PAGE_SIZE / sizeof(uint32_t))

static struct stored {
	struct mull_image record;
	uint32_t *frames; /* NULL: no image has this number */
	bool finished;
} store[MULL_IMAGE_MAX];

static struct stored *find(uint32_t number)
{
	return number < MULL_IMAGE_MAX && store[number].frames ?
		       &store[number] :
		       NULL;
}

struct load_image image_find(uint32_t number)
{
	const struct stored *stored = find(number);

	if (!stored)
		return package_image(&boot_package, number);
	if (!stored->finished)
		return (struct load_image){ 0 };
	return (struct load_image){ .record = &stored->record,
				    .frames = stored->frames };
}

uint32_t image_kind(uint32_t number)
{
	struct load_image image = image_find(number);

	return image_is_there(&image) ? image.record->kind : 0;
}

/* Those of the package; the store takes none whose hash is wrong. */
static _Atomic bool verified[MULL_IMAGE_MAX];

bool image_is_verified(uint32_t number)
{
	const struct stored *stored = find(number);

	return stored ? stored->finished : atomic_load(&verified[number]);
}

void image_set_verified(uint32_t number)
{
	atomic_store(&verified[number], true);
}

const struct mull_image *store_image(uint32_t number)
{
	const struct stored *stored = find(number);

	return stored ? &stored->record : NULL;
}

static uint32_t frame_count(const struct stored *stored)
{
	return (stored->record.size - 1) / FRAME_SIZE + 1;
}

/* Gives back the first @count frames and their list. */
static void give(struct stored *stored, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame_give(FRAME_STORE, stored->frames[i]);
	page_free(stored->frames, 1);
	*stored = (struct stored){ 0 };
}

enum error store_add(const struct mull_image *record, uint32_t *number)
{
	struct stored *stored;

	for (*number = boot_package.image_count; find(*number);)
		++*number;
	if (record->size > FRAMES_MAX * FRAME_SIZE)
		return ERR_TOO_LARGE;
	if (*number >= MULL_IMAGE_MAX)
		return ERR_NO_MEMORY;
	stored = &store[*number];
	stored->record = *record;
	stored->frames = page_alloc(1);
	if (!stored->frames)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < frame_count(stored); i++) {
		if (frame_take(FRAME_STORE, 1, &stored->frames[i]) == ERR_NONE)
			continue;
		give(stored, i);
		return ERR_NO_MEMORY;
	}
	return ERR_NONE;
}

uint8_t *store_window(uint32_t number, uint64_t at)
{
	uint64_t frame = store[number].frames[at / FRAME_SIZE];

	return (uint8_t *)arch_window(hpa(frame << FRAME_SHIFT)) +
	       at % FRAME_SIZE;
}

void store_finish(uint32_t number)
{
	store[number].finished = true;
}

void store_remove(uint32_t number)
{
	give(&store[number], frame_count(&store[number]));
}
