/* SPDX-License-Identifier: MIT */
/*
 * VIRTIO 1.2, "Traditional Memory Balloon Device": the driver's numbers of
 * pages, and what the operator wants.  What becomes of the frames is decided in
 * kernel/partition/vm_balloon.c.
 *
 * VIRTIO_BALLOON_F_DEFLATE_ON_OOM and VIRTIO_BALLOON_F_REPORTING are not offered:
 * a frame that has gone may be another VM's, so the guest cannot have it back
 * when it likes.
 */
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <string.h>

#define CLASS_OTHER 0x00ff00 /* as QEMU's has it */

/* "Feature bits" */
#define FEATURE_MUST_TELL_HOST BIT(0)
#define FEATURE_STATS_QUEUE BIT(1)

/* "Virtqueues" */
enum queue { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_COUNT };

/* "Device configuration layout": pages of 4 KiB. */
struct balloon_config {
	uint32_t wanted; /* by the device */
	uint32_t actual; /* as the driver has it */
};

/* "Memory Statistics" */
struct balloon_stat {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));
static_assert(sizeof(struct balloon_stat) == 10, "virtio_balloon_stat");

#define PAGE_NUMBERS 128       /* of a chain that are treated at once */
#define CHAIN_BYTES_MAX MIB(1) /* numbers of 1 GiB of pages */
#define STATS_MAX 32	       /* of a chain that are looked at */

static struct balloon *of(struct virtio_device *device)
{
	return (struct balloon *)device;
}

/* ---- the operator's wish ------------------------------------------------- */

static void tell_target(struct vm *vm, struct balloon *balloon)
{
	uint32_t away = balloon->frame_count - atomic_load(&balloon->target);
	struct balloon_config config;

	memcpy(&config, balloon->device.config, sizeof config);
	if (config.wanted == away * BALLOON_PAGES)
		return;
	config.wanted = away * BALLOON_PAGES;
	memcpy(balloon->device.config, &config, sizeof config);
	virtio_reconfigure(vm, &balloon->device);
}

void balloon_set_target(struct vm *vm, uint32_t frames)
{
	atomic_store(&vm->balloon->target, frames);
	virtio_wake(vm, &vm->balloon->device, QUEUE_INFLATE);
}

void balloon_ask(struct vm *vm)
{
	atomic_store(&vm->balloon->wants_stats, true);
	virtio_wake(vm, &vm->balloon->device, QUEUE_STATS);
}

/* ---- pages --------------------------------------------------------------- */

/* The next numbers of the chain in work; how many, 0: it is broken. */
static uint32_t read_numbers(struct vm *vm, struct virtio_device *device,
			     uint32_t queue, uint32_t *numbers)
{
	const struct virtio_chain *chain = &device->chain;
	uint64_t done = of(device)->done[queue], length;

	length = chain->readable_bytes - done;
	if (chain->writable || chain->readable_bytes % sizeof *numbers ||
	    chain->readable_bytes > CHAIN_BYTES_MAX ||
	    chain->readable_bytes <= done) {
		virtio_break(vm, device, "a list of pages is none");
		return 0;
	}
	if (length > PAGE_NUMBERS * sizeof *numbers)
		length = PAGE_NUMBERS * sizeof *numbers;
	if (virtio_chain_read(&device->queues[queue], chain, done, numbers,
			      length)) {
		virtio_break(vm, device, "a list of pages is not in memory");
		return 0;
	}
	return (uint32_t)(length / sizeof *numbers);
}

/* ERR_BUSY: it is not done before the page's frame is there. */
static enum error treat(struct vm *vm, uint32_t queue, uint32_t number)
{
	gpa_t at = gpa((uint64_t)number * BALLOON_PAGE);

	return queue == QUEUE_INFLATE ? balloon_lend(vm, at) :
					balloon_return(vm, at);
}

static bool work_on_pages(struct vm *vm, struct virtio_device *device,
			  uint32_t queue)
{
	struct balloon *balloon = of(device);
	uint32_t numbers[PAGE_NUMBERS], count;
	enum error error = ERR_NONE;

	if (!virtio_take(vm, device, queue))
		return false;
	count = read_numbers(vm, device, queue, numbers);
	if (!count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		error = treat(vm, queue, numbers[i]);
		if (error)
			break;
		balloon->done[queue] += sizeof numbers[i];
	}
	if (error == ERR_BAD_ADDRESS) {
		virtio_break(vm, device, "a page is not of its memory");
		return false;
	}
	if (error || balloon->done[queue] < device->chain.readable_bytes) {
		virtio_untake(device, queue);
		return !error; /* else vm_balloon_work() wakes it */
	}
	balloon->done[queue] = 0;
	virtio_give(vm, device, queue, 0);
	return true;
}

/* ---- statistics ---------------------------------------------------------- */

static void read_stats(struct virtio_device *device)
{
	struct balloon *balloon = of(device);
	uint64_t count = device->chain.readable_bytes /
			 sizeof(struct balloon_stat);
	struct balloon_stat stat;

	for (uint32_t i = 0; i < count && i < STATS_MAX; i++) {
		if (virtio_chain_read(&device->queues[QUEUE_STATS],
				      &device->chain, i * sizeof stat, &stat,
				      sizeof stat))
			return;
		if (stat.tag >= BALLOON_STATS)
			continue;
		balloon->stats[stat.tag] = stat.value;
		balloon->stats_known |= 1u << stat.tag;
	}
}

/* The driver has one buffer there, and fills it again when it gets it. */
static bool work_on_stats(struct vm *vm, struct virtio_device *device)
{
	struct balloon *balloon = of(device);

	if (atomic_load(&balloon->wants_stats) && balloon->has_stats_chain) {
		atomic_store(&balloon->wants_stats, false);
		balloon->has_stats_chain = false;
		virtio_give_back(vm, device, QUEUE_STATS, balloon->stats_chain,
				 0);
	}
	if (balloon->has_stats_chain || !virtio_take(vm, device, QUEUE_STATS))
		return false;
	read_stats(device);
	balloon->stats_chain = device->chain.token;
	balloon->has_stats_chain = true;
	return atomic_load(&balloon->wants_stats);
}

/* ---- the device ---------------------------------------------------------- */

static bool work(struct vm *vm, struct virtio_device *device, uint32_t queue)
{
	struct balloon *balloon = of(device);

	balloon_empty(vm);
	atomic_store(&balloon->bound,
		     device->negotiated & FEATURE_MUST_TELL_HOST);
	tell_target(vm, balloon);
	return queue == QUEUE_STATS ? work_on_stats(vm, device) :
				      work_on_pages(vm, device, queue);
}

/* On the CPU of any vCPU: the home CPU has the rest to do. */
static void reset(struct vm *vm, struct virtio_device *device)
{
	struct balloon *balloon = of(device);
	struct balloon_config config;

	memcpy(&config, device->config, sizeof config);
	config.actual = 0;
	memcpy(device->config, &config, sizeof config);
	atomic_store(&balloon->bound, false);
	balloon->done[QUEUE_INFLATE] = balloon->done[QUEUE_DEFLATE] = 0;
	balloon->has_stats_chain = false;
	balloon->stats_known = 0;
	atomic_store(&balloon->emptied, true);
	arch_kick(vm_home(vm));
}

/* The driver takes all pages for its own again when the reset is over. */
static bool flies(const struct virtio_device *device)
{
	return atomic_load(&((const struct balloon *)device)->emptied);
}

static const struct virtio_type virtio_balloon = {
	.id = VIRTIO_ID_BALLOON,
	.class = CLASS_OTHER,
	.features = FEATURE_MUST_TELL_HOST | FEATURE_STATS_QUEUE,
	.queue_count = QUEUE_COUNT,
	.config_size = sizeof(struct balloon_config),
	.config_written_at = offsetof(struct balloon_config, actual),
	.config_written_size = sizeof(uint32_t),
	.work = work,
	.reset = reset,
	.flies = flies,
};

/* ---- its life ------------------------------------------------------------ */

#define LENT_BYTES(count) ((count) * sizeof *((struct balloon *)0)->pages)
#define STATE_BYTES(count) ((count) * (sizeof(uint16_t) + sizeof(uint8_t)))

enum error balloon_make(struct vm *vm, uint32_t slot)
{
	struct balloon *balloon = page_alloc(pages_for(sizeof *balloon));

	if (!balloon)
		return ERR_NO_MEMORY;
	vm->balloon = balloon;
	balloon->frame_count = vm->frame_count;
	balloon->pages = page_alloc(pages_for(LENT_BYTES(vm->frame_count)));
	balloon->counts = page_alloc(pages_for(STATE_BYTES(vm->frame_count)));
	if (!balloon->pages || !balloon->counts)
		return ERR_NO_MEMORY;
	balloon->states = (uint8_t *)(balloon->counts + vm->frame_count);
	balloon->target = vm->frame_count;
	balloon->wanted = BALLOON_NONE;
	balloon->fetch_at = balloon->leave_at = ARCH_NO_DEADLINE;
	virtio_add(vm, &balloon->device, &virtio_balloon, slot);
	return ERR_NONE;
}

void balloon_free(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (!balloon)
		return;
	if (balloon->pages)
		page_free(balloon->pages,
			  pages_for(LENT_BYTES(balloon->frame_count)));
	if (balloon->counts)
		page_free(balloon->counts,
			  pages_for(STATE_BYTES(balloon->frame_count)));
	page_free(balloon, pages_for(sizeof *balloon));
	vm->balloon = NULL;
}
