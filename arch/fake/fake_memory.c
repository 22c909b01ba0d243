/* SPDX-License-Identifier: MIT */
/*
 * Physical memory is one sparse file, mapped whole for arch_direct() and for
 * tests, and two megabytes of it once more for arch_window() and arch_view(): a
 * pointer kept across the next call sees another frame, as on the real machine.
 */
#include <arch/fake/fake.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int memory_file = -1;
static uint8_t *memory, *window, *view;

static void *check(void *mapping)
{
	if (mapping == MAP_FAILED) {
		perror("fake memory");
		abort();
	}
	return mapping;
}

static void memory_start(void)
{
	if (memory_file >= 0)
		return;
	memory_file = memfd_create("fake memory", MFD_CLOEXEC);
	if (memory_file < 0 || ftruncate(memory_file, FAKE_MEMORY_SIZE)) {
		perror("fake memory");
		abort();
	}
	memory = check(mmap(NULL, FAKE_MEMORY_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, memory_file, 0));
	window = check(mmap(NULL, 2 * FRAME_SIZE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0));
	view = window + FRAME_SIZE;
}

void *fake_memory(hpa_t address)
{
	memory_start();
	if (address.value >= FAKE_MEMORY_SIZE) {
		fprintf(stderr, "fake memory: no address 0x%lx\n",
			(unsigned long)address.value);
		abort();
	}
	return memory + address.value;
}

void fake_memory_clear(void)
{
	memory_start();
	if (ftruncate(memory_file, 0) ||
	    ftruncate(memory_file, FAKE_MEMORY_SIZE)) {
		perror("fake memory");
		abort();
	}
	check(mmap(window, 2 * FRAME_SIZE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		   0));
}

static void *show(void *at, hpa_t frame, int rights)
{
	if (frame.value % FRAME_SIZE || frame.value >= FAKE_MEMORY_SIZE) {
		fprintf(stderr, "fake memory: no frame at 0x%lx\n",
			(unsigned long)frame.value);
		abort();
	}
	return check(mmap(at, FRAME_SIZE, rights, MAP_SHARED | MAP_FIXED,
			  memory_file, (off_t)frame.value));
}

FAKE void *arch_window(hpa_t frame)
{
	memory_start();
	return show(window, frame, PROT_READ | PROT_WRITE);
}

FAKE const void *arch_view(hpa_t frame)
{
	memory_start();
	return show(view, frame, PROT_READ);
}

/* The hypervisor's own objects, which lie in the test program, have their
 * pointer as their physical address. */
FAKE void *arch_direct(hpa_t address)
{
	if (address.value >= FAKE_MEMORY_SIZE)
		return (void *)address.value;
	return fake_memory(address);
}

FAKE hpa_t arch_physical(const void *direct)
{
	uint64_t offset = (uintptr_t)direct - (uintptr_t)memory;

	if (memory && offset < FAKE_MEMORY_SIZE)
		return hpa(offset);
	return hpa((uintptr_t)direct);
}

/* The fake needs no tables. */
FAKE void arch_look(uint64_t address, struct mapping *mapping)
{
	(void)address;
	*mapping = (struct mapping){ .size = BIT(48) };
}

FAKE enum error arch_map(hpa_t address, uint64_t size, enum arch_map_kind kind)
{
	(void)address;
	(void)size;
	(void)kind;
	return ERR_NONE;
}
