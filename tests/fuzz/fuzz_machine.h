/* SPDX-License-Identifier: MIT */
/* The rest of the hypervisor, for fuzz targets that run a VM: logs and events
 * are checked and dropped, images always load. */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include <arch/fake/fake.h>
#include <mullion/block.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/images.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vm *vm;
static struct vcpu *vcpu; /* whose turn it is */

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* So many free frames behind the one that has their owners. */
static inline void start_pool(uint32_t frames)
{
	const struct mull_memory_range ranges[] = {
		{ 0, MIB(2) + frames * FRAME_SIZE, MULL_MEMORY_USABLE, 0 },
	};
	uint32_t span = frame_pool_span(ranges, 1);
	hpa_t first = frame_pool_first(ranges, 1, 1);

	page_start(arch_direct(first), 1, span * sizeof(frame_owner));
	frame_pool_start(ranges, 1, arch_direct(first), span);
	frame_claim(FRAME_HYPERVISOR, (uint32_t)(first.value >> FRAME_SHIFT));
}

static void check_format(const char *format, va_list arguments)
{
	char words[LOG_LINE_MAX];

	require(format_text_list(words, sizeof words, format, arguments) <
		sizeof words);
}

void log_write(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	check_format(format, arguments);
	va_end(arguments);
}

void log_guest(struct vcpu *of, const char *format, ...)
{
	va_list arguments;

	require(of == vcpu);
	va_start(arguments, format);
	check_format(format, arguments);
	va_end(arguments);
}

_Noreturn void panic(const char *format, ...)
{
	fprintf(stderr, "panic: %s\n", format);
	abort();
}

void manage_event(struct vm *of)
{
	require(of == vm);
	require(memchr(vm->end_words, 0, sizeof vm->end_words));
}

void manage_notify(void)
{
}

void cpu_loop_move(struct vcpu *of)
{
	of->next = of->next ? NULL : of;
}

struct load_image image_find(uint32_t number)
{
	(void)number;
	return (struct load_image){ 0 };
}

void load_begin(struct load *load, const struct load_request *request)
{
	memset(load, 0, sizeof *load);
	load->request = *request;
	load->start.rip = 0x1000;
}

void load_begin_disk(struct load *load, const struct mull_vm *of,
		     uint32_t index, struct load_image its)
{
	(void)load;
	(void)of;
	(void)index;
	(void)its;
	abort(); /* no disk comes */
}

enum error load_step(struct load *load, bool *done)
{
	(void)load;
	*done = true;
	return ERR_NONE;
}

/* The machine has no disks. */
enum error block_take(const char *name, bool write,
		      struct block_partition **partition, const char **words)
{
	(void)name;
	(void)write;
	(void)partition;
	*words = "there is none";
	return ERR_NOT_FOUND;
}

void block_give(struct block_partition *partition)
{
	(void)partition;
	abort();
}

void block_send(struct block_request *request)
{
	(void)request;
	abort();
}

bool block_poll(void)
{
	return false;
}

uint64_t block_deadline(void)
{
	return ARCH_NO_DEADLINE;
}

uint32_t cpu_loop_service(void)
{
	return 0;
}

/* A bit for each piece of a frame that somebody may have written since it was
 * zeroed; others need not be zeroed again, which took most of a case's time. */
static uint32_t touched[256];

static void touch_frame(uint32_t frame)
{
	require(frame < ARRAY_COUNT(touched));
	touched[frame] = ~0u;
}

/* Without the fake's mapping, which takes longer than all else here. */
void *arch_window(hpa_t frame)
{
	require(frame.value % FRAME_SIZE == 0);
	touch_frame((uint32_t)(frame.value >> FRAME_SHIFT));
	return fake_memory(frame);
}

void frame_zero(uint32_t frame, uint64_t at, uint64_t length)
{
	uint32_t bit = 1u << at / FRAME_ZERO_PIECE;
	bool whole = at % FRAME_ZERO_PIECE == 0 && length == FRAME_ZERO_PIECE;
	uint8_t *bytes = fake_memory(hpa((uint64_t)frame << FRAME_SHIFT));

	require(frame < ARRAY_COUNT(touched) && at + length <= FRAME_SIZE);
	if (whole && !(touched[frame] & bit))
		return;
	memset(bytes + at, 0, length);
	if (whole)
		touched[frame] &= ~bit;
}

#endif
