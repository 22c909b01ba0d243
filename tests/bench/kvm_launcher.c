/* SPDX-License-Identifier: MIT */
/*
 * Starts a guest of the SDK under KVM, as <mullion/guest.h> says that one
 * starts, with as little as that takes: kvm_launcher ELF VCPUS COMMAND-LINE.
 * It has KVM's own interrupt controllers and a UART that prints; whatever else
 * it does by ports or device memory comes here and has no effect.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mullion/guest.h>

#define MEMORY (32ul << 20)
#define PAGE 4096ul
/* Below where guests begin. */
#define TABLES 0x1000ul /* one of each of two levels, four of the third */
#define INFO 0x7000ul
#define COMMAND_LINE (INFO + sizeof(struct mull_guest_info))
#define CPUID_ENTRIES 100
#define VCPUS 4

static int kvm, vm;
static char *memory;

static void need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static long ask(int fd, unsigned long request, void *argument, const char *what)
{
	long result = ioctl(fd, request, argument);

	need(result >= 0, what);
	return result;
}

/* Returns the entry point. */
static uint64_t load(const char *path)
{
	FILE *file = fopen(path, "r");
	Elf64_Ehdr header;
	Elf64_Phdr part;

	need(file && fread(&header, sizeof header, 1, file) == 1, path);
	for (int i = 0; i < header.e_phnum; i++) {
		fseek(file, (long)(header.e_phoff + i * sizeof part), SEEK_SET);
		need(fread(&part, sizeof part, 1, file) == 1, path);
		if (part.p_type != PT_LOAD || !part.p_filesz)
			continue;
		need(part.p_paddr + part.p_memsz <= MEMORY, "its place");
		fseek(file, (long)part.p_offset, SEEK_SET);
		need(fread(memory + part.p_paddr, part.p_filesz, 1, file) == 1,
		     path);
	}
	fclose(file);
	return header.e_entry;
}

/* The first 4 GiB at themselves, in pages of 2 MiB. */
static void map(void)
{
	uint64_t *root = (uint64_t *)(memory + TABLES);
	uint64_t *pointers = root + PAGE / 8, *pages = pointers + PAGE / 8;

	root[0] = (TABLES + PAGE) | 3;
	for (uint64_t i = 0; i < 4; i++)
		pointers[i] = (TABLES + (2 + i) * PAGE) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pages[i] = i << 21 | 0x83;
}

static void tell(int vcpu, uint32_t count, const char *command_line)
{
	struct mull_guest_info info = {
		.magic = MULL_GUEST_INFO_MAGIC,
		.abi = MULL_GUEST_ABI,
		.vcpu_count = count,
		.memory_low = MEMORY,
		.command_line = COMMAND_LINE,
	};

	info.tsc_khz = (uint64_t)ask(vcpu, KVM_GET_TSC_KHZ, NULL, "TSC");
	memcpy(memory + INFO, &info, sizeof info);
	strcpy(memory + COMMAND_LINE, command_line);
}

/* What KVM can do, and the deadline timer, which is the caller's to offer. */
static void set_cpuid(int vcpu, uint32_t id)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
	} all;

	all.head.nent = CPUID_ENTRIES;
	ask(kvm, KVM_GET_SUPPORTED_CPUID, &all, "CPUID");
	for (uint32_t i = 0; i < all.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &all.head.entries[i];

		if (entry->function == 1) {
			entry->ecx |= 1u << 24 | 1u << 31;
			entry->ebx = (entry->ebx & 0xffffff) | id << 24;
		}
		if (entry->function == 0xb)
			entry->edx = id;
	}
	ask(vcpu, KVM_SET_CPUID2, &all, "CPUID");
}

static void set_registers(int vcpu, uint64_t entry)
{
	struct kvm_regs registers = { .rip = entry, .rdi = INFO, .rflags = 2 };
	struct kvm_segment flat = { .limit = ~0u,
				    .selector = 8,
				    .type = 11,
				    .present = 1,
				    .s = 1,
				    .l = 1,
				    .g = 1 };
	struct kvm_sregs system;

	ask(vcpu, KVM_GET_SREGS, &system, "registers");
	system.cs = flat;
	flat.selector = 16;
	flat.type = 3;
	flat.l = 0;
	flat.db = 1;
	system.ds = system.es = system.fs = system.gs = system.ss = flat;
	system.cr0 = 0x80010033;
	system.cr3 = TABLES;
	system.cr4 = 0x620;
	system.efer = 0x500;
	ask(vcpu, KVM_SET_SREGS, &system, "registers");
	ask(vcpu, KVM_SET_REGS, &registers, "registers");
}

static void serve_port(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	if (run->io.direction == KVM_EXIT_IO_IN)
		*data = 0x60; /* of the UART: it can take more */
	else if (run->io.port == MULL_GUEST_UART_PORT)
		putchar(*data);
	else if (run->io.port == MULL_GUEST_SLEEP_CONTROL)
		exit(0);
}

static void *run_vcpu(void *argument)
{
	int vcpu = (int)(intptr_t)argument;
	size_t size = (size_t)ask(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "size");
	struct kvm_run *run = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, vcpu, 0);

	need(run != MAP_FAILED, "mmap");
	for (;;) {
		/* One that waits for SIPI comes back with EAGAIN. */
		if (ioctl(vcpu, KVM_RUN, NULL) < 0) {
			need(errno == EAGAIN || errno == EINTR, "run");
			continue;
		}
		if (run->exit_reason == KVM_EXIT_IO) {
			serve_port(run);
		} else if (run->exit_reason != KVM_EXIT_MMIO) {
			printf("kvm_launcher: exit %u\n", run->exit_reason);
			exit(1);
		}
	}
}

int main(int argc, char **words)
{
	uint32_t count = argc == 4 ? (uint32_t)atoi(words[2]) : 0;
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	int vcpus[VCPUS];
	pthread_t thread;
	uint64_t entry;

	need(count > 0 && count <= VCPUS,
	     "kvm_launcher ELF VCPUS COMMAND-LINE");
	kvm = open("/dev/kvm", O_RDWR);
	need(kvm >= 0, "/dev/kvm");
	vm = (int)ask(kvm, KVM_CREATE_VM, NULL, "VM");
	ask(vm, KVM_CREATE_IRQCHIP, NULL, "interrupt controllers");
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(memory != MAP_FAILED, "memory");
	region.userspace_addr = (uintptr_t)memory;
	ask(vm, KVM_SET_USER_MEMORY_REGION, &region, "memory");
	entry = load(words[1]);
	map();
	for (uint32_t i = 0; i < count; i++) {
		vcpus[i] = (int)ask(vm, KVM_CREATE_VCPU, (void *)(uintptr_t)i,
				    "vCPU");
		set_cpuid(vcpus[i], i);
	}
	tell(vcpus[0], count, words[3]);
	set_registers(vcpus[0], entry);
	for (uint32_t i = 1; i < count; i++)
		need(!pthread_create(&thread, NULL, run_vcpu,
				     (void *)(intptr_t)vcpus[i]),
		     "thread");
	run_vcpu((void *)(intptr_t)vcpus[0]);
	return 0;
}
