/* SPDX-License-Identifier: MIT */
/*
 * Requests to disks.  They come through one list that any CPU adds to; the
 * service CPU takes them from there, checks them, and feeds each disk in the
 * order in which they came.
 *
 * A disk interrupts the service CPU, which wakes it, and its round then looks
 * at every disk that works.  Until a disk has proved that it interrupts, it is
 * looked at each 100 us while it works; afterwards each 100 ms, so that even a
 * lost interrupt only takes time.
 */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/cpu_loop.h>
#include <mullion/log.h>

#define COMMANDS_A_ROUND 8 /* begun on each disk */
#define TIMEOUT_MS 10000
#define POLLS_A_MS 10
#define LOOK_MS 100

static struct block_device *devices[BLOCK_DEVICES_MAX];
static uint32_t device_count;
static _Atomic(struct block_request *) sent; /* the last one first */

struct block_device *block_device_at(uint32_t index)
{
	return index < device_count ? devices[index] : NULL;
}

enum error block_add(struct block_device *device)
{
	if ((device->sector_size != 512 && device->sector_size != 4096) ||
	    device->sector_count == 0 ||
	    device->sector_count > BIT(48) / device->sector_size ||
	    device->command_max < device->sector_size ||
	    device->segments_max == 0 || device->slots == 0)
		return ERR_UNSUPPORTED;
	if (device_count == BLOCK_DEVICES_MAX)
		return ERR_NO_MEMORY;
	if (device->segments_max > BLOCK_SEGMENTS_MAX)
		device->segments_max = BLOCK_SEGMENTS_MAX;
	if (device->slots > BLOCK_SLOTS)
		device->slots = BLOCK_SLOTS;
	device->whole = (struct block_partition){
		.device = device,
		.size = device->sector_count * device->sector_size,
		.users = 1,
		.written = !device->read_only,
	};
	devices[device_count++] = device;
	return ERR_NONE;
}

/* ---- requests -------------------------------------------------------------- */

/* Whether the segments are what the device can reach, and together @*length. */
static bool check_segments(const struct block_request *request,
			   uint64_t *length)
{
	const struct block_device *device = request->partition->device;

	*length = 0;
	if (request->segment_count > BLOCK_SEGMENTS_MAX)
		return false;
	for (uint32_t i = 0; i < request->segment_count; i++) {
		if (request->segments[i].at.value % device->alignment ||
		    request->segments[i].length == 0)
			return false;
		*length += request->segments[i].length;
	}
	return true;
}

/* What goes beyond the partition would be somebody else's. */
static bool is_right(const struct block_request *request)
{
	const struct block_partition *partition = request->partition;
	uint32_t sector = partition->device->sector_size;
	uint64_t length;

	if (request->operation == BLOCK_FLUSH)
		return request->segment_count == 0;
	if (request->operation == BLOCK_WRITE && !partition->written)
		return false;
	return check_segments(request, &length) && length &&
	       length % sector == 0 && request->offset % sector == 0 &&
	       request->offset <= partition->size &&
	       length <= partition->size - request->offset;
}

static void wait_in_line(struct block_request *request)
{
	struct block_device *device = request->partition->device;

	request->error = ERR_NONE;
	request->next = NULL;
	request->segment = request->segment_done = request->running = 0;
	if (!is_right(request)) {
		request->error = ERR_BAD_REQUEST;
		request->done(request);
		return;
	}
	if (request->operation == BLOCK_FLUSH && !device->write_cache) {
		request->done(request);
		return;
	}
	request->sector = request->partition->first +
			  request->offset / device->sector_size;
	if (device->last_waiting)
		device->last_waiting->next = request;
	else
		device->first_waiting = request;
	device->last_waiting = request;
}

void block_send(struct block_request *request)
{
	struct block_request *before = atomic_load(&sent);

	do
		request->next = before;
	while (!atomic_compare_exchange_weak(&sent, &before, request));
	/* Behind another one, whose sender has kicked. */
	if (!before)
		arch_kick(cpu_loop_service());
}

static void take_sent(void)
{
	struct block_request *last = atomic_exchange(&sent, NULL);
	struct block_request *first = NULL;

	while (last) { /* turns them round */
		struct block_request *before = last->next;

		last->next = first;
		first = last;
		last = before;
	}
	while (first) {
		struct block_request *next = first->next;

		wait_in_line(first);
		first = next;
	}
}

/* ---- commands -------------------------------------------------------------- */

static void leave_line(struct block_device *device)
{
	device->first_waiting = device->first_waiting->next;
	if (!device->first_waiting)
		device->last_waiting = NULL;
}

/* The part of a request behind what was begun. */
struct cutter {
	const struct block_request *request;
	uint32_t segment, done; /* bytes of it */
	uint32_t count;		/* in device->cut */
	uint32_t length;	/* bytes in them */
};

/* The next bytes on end.  Returns false when they need a command of their own:
 * this one has enough, or a page begins or ends in the middle. */
static bool add_segment(struct block_device *device, struct cutter *cutter)
{
	const struct block_segment *from =
		&cutter->request->segments[cutter->segment];
	struct block_segment *last = cutter->count ?
					     &device->cut[cutter->count - 1] :
					     NULL;
	uint64_t at = from->at.value + cutter->done;
	uint32_t length = from->length - cutter->done;
	uint32_t room = device->command_max - cutter->length;

	if (length > room)
		length = room;
	if (!length)
		return false;
	if (last && last->at.value + last->length == at) {
		last->length += length;
	} else {
		if (cutter->count == device->segments_max)
			return false;
		if (last && device->whole_pages &&
		    (at | (last->at.value + last->length)) % PAGE_SIZE)
			return false;
		device->cut[cutter->count++] = (struct block_segment){ hpa(at),
								       length };
	}
	cutter->length += length;
	cutter->done += length;
	if (cutter->done == from->length) {
		cutter->segment++;
		cutter->done = 0;
	}
	return true;
}

/* Takes @excess bytes from the end again: a command has whole sectors. */
static void shorten(struct block_device *device, struct cutter *cutter,
		    uint32_t excess)
{
	cutter->length -= excess;
	while (excess) {
		struct block_segment *last = &device->cut[cutter->count - 1];
		uint32_t piece = last->length < excess ? last->length : excess;

		last->length -= piece;
		excess -= piece;
		if (!last->length)
			cutter->count--;
	}
}

/* Where the request goes on after @length more bytes. */
static void advance(struct block_request *request, uint32_t length)
{
	while (length) {
		uint32_t rest = request->segments[request->segment].length -
				request->segment_done;

		if (length < rest) {
			request->segment_done += length;
			return;
		}
		length -= rest;
		request->segment++;
		request->segment_done = 0;
	}
}

/* A command from the front of @request.  Returns false when a sector lies in
 * more pieces than the device can gather. */
static bool cut(struct block_device *device,
		const struct block_request *request,
		struct block_command *command)
{
	struct cutter cutter = {
		.request = request,
		.segment = request->segment,
		.done = request->segment_done,
	};

	*command = (struct block_command){ .operation = request->operation };
	if (request->operation == BLOCK_FLUSH)
		return true;
	while (cutter.segment < request->segment_count &&
	       add_segment(device, &cutter))
		;
	shorten(device, &cutter, cutter.length % device->sector_size);
	command->sector = request->sector;
	command->sectors = cutter.length / device->sector_size;
	command->segments = device->cut;
	command->segment_count = cutter.count;
	return command->sectors;
}

static bool is_begun(const struct block_request *request)
{
	return request->error || request->segment == request->segment_count;
}

static uint32_t free_slot(const struct block_device *device)
{
	uint32_t slot = 0;

	while (slot < device->slots && device->slot[slot].request)
		slot++;
	return slot;
}

/* The next command of the first request; false: not now, or no more. */
static bool begin_command(struct block_device *device)
{
	struct block_request *request = device->first_waiting;
	uint32_t slot = free_slot(device);
	struct block_command command;
	enum error error = ERR_BAD_REQUEST;

	if (!request || !device->ready || slot == device->slots)
		return false;
	if (!request->error && cut(device, request, &command))
		error = device->driver->start(device, slot, &command);
	if (error == ERR_BUSY)
		return false;
	if (error) {
		device->errors += !request->error;
		if (!request->error)
			request->error = error;
	} else {
		device->slot[slot].request = request;
		device->slot[slot].since = arch_time();
		device->slot[slot].length = command.sectors *
					    device->sector_size;
		device->running++;
		request->running++;
		request->sector += command.sectors;
		advance(request, device->slot[slot].length);
	}
	if (is_begun(request)) {
		leave_line(device);
		if (!request->running)
			request->done(request);
	}
	return true;
}

void block_ended(struct block_device *device, uint32_t slot, enum error error)
{
	struct block_request *request = device->slot[slot].request;

	ASSERT(request);
	device->slot[slot].request = NULL;
	device->running--;
	if (error) {
		device->errors++;
	} else {
		device->failures = 0;
		device->commands[request->operation]++;
		device->bytes[request->operation] += device->slot[slot].length;
	}
	if (error && !request->error)
		request->error = error;
	request->running--;
	/* One that is not begun whole is still in line. */
	if (!request->running && device->first_waiting != request)
		request->done(request);
}

void block_lost(struct block_device *device, enum error error)
{
	for (uint32_t slot = 0; slot < device->slots; slot++)
		if (device->slot[slot].request)
			block_ended(device, slot, error);
}

void block_reset(struct block_device *device, const char *why)
{
	log_write(LOG_WARNING "disk %s: %s; it is reset", device->name, why);
	device->failures++;
	device->resets++;
	device->ready = false;
	device->driver->reset(device);
}

void block_give_up(struct block_device *device, const char *why)
{
	log_write(LOG_ERROR "disk %s: %s; it is given up", device->name, why);
	device->ready = false;
	device->dead = true;
	block_lost(device, ERR_DEVICE);
}

/* ---- the round ------------------------------------------------------------- */

static void fail_waiting(struct block_device *device)
{
	while (device->first_waiting) {
		struct block_request *request = device->first_waiting;

		leave_line(device);
		request->error = ERR_DEVICE;
		request->done(request);
	}
}

static bool works(const struct block_device *device)
{
	return device->running || (!device->ready && !device->dead);
}

static void look_for_timeouts(struct block_device *device)
{
	uint64_t now = arch_time();

	if (!device->running)
		return;
	for (uint32_t slot = 0; slot < device->slots && device->ready; slot++) {
		if (!device->slot[slot].request ||
		    now - device->slot[slot].since < arch_time_ms(TIMEOUT_MS))
			continue;
		block_reset(device, "no answer within 10 s");
	}
}

static bool poll_device(struct block_device *device)
{
	uint32_t begun = 0;

	if (works(device))
		device->driver->poll(device);
	look_for_timeouts(device);
	if (device->dead) {
		fail_waiting(device);
		return false;
	}
	while (begun < COMMANDS_A_ROUND && begin_command(device))
		begun++;
	return begun == COMMANDS_A_ROUND;
}

bool block_poll(void)
{
	bool more = false;

	take_sent();
	for (uint32_t i = 0; i < device_count; i++)
		more |= poll_device(devices[i]);
	return more;
}

uint64_t block_deadline(void)
{
	uint64_t wait = ARCH_NO_DEADLINE;

	for (uint32_t i = 0; i < device_count; i++) {
		uint64_t look = arch_time_khz() / POLLS_A_MS;

		if (!works(devices[i]))
			continue;
		if (devices[i]->interrupts && devices[i]->ready)
			look = arch_time_ms(LOOK_MS);
		if (look < wait)
			wait = look;
	}
	return wait == ARCH_NO_DEADLINE ? wait : arch_time() + wait;
}

static void note_done(struct block_request *request)
{
	bool *done = request->context;

	*done = true;
}

enum error block_read_now(struct block_device *device, uint64_t sector,
			  void *to, uint32_t count)
{
	struct block_segment segment = { arch_physical(to),
					 count * device->sector_size };
	bool done = false;
	struct block_request request = {
		.partition = &device->whole,
		.operation = BLOCK_READ,
		.offset = sector * device->sector_size,
		.segments = &segment,
		.segment_count = 1,
		.done = note_done,
		.context = &done,
	};

	wait_in_line(&request);
	while (!done) { /* it ends: see look_for_timeouts() */
		poll_device(device);
		arch_pause();
	}
	return request.error;
}
