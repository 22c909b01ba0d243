/* SPDX-License-Identifier: MIT */
/* The kernel's start: memory, package, partitions; then every CPU loops. */
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/cache.h>
#include <mullion/cpu_loop.h>
#include <mullion/cpuid.h>
#include <mullion/description.h>
#include <mullion/frame_pool.h>
#include <mullion/framebuffer.h>
#include <mullion/guest_clock.h>
#include <mullion/kernel.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/package_reader.h>
#include <mullion/page.h>
#include <mullion/schedule.h>
#include <mullion/uplink.h>
#include <mullion/vm.h>
#include <stdatomic.h>

const struct virt_ops *virt;

static _Atomic bool guests_may_run;

void kernel_memory_start(const struct mull_boot_info *boot)
{
	uint32_t span = frame_pool_span(boot->memory, boot->memory_count);
	uint32_t frames = round_up(span * sizeof(frame_owner), FRAME_SIZE) /
			  FRAME_SIZE;
	hpa_t owners = frame_pool_first(boot->memory, boot->memory_count,
					frames);

	if (owners.value == 0)
		panic("no 2 MiB of usable memory in the firmware's map");
	if (arch_map(owners, frames * FRAME_SIZE, ARCH_MAP_RAM) != ERR_NONE)
		panic("memory at 0x%lx cannot be mapped", owners.value);
	page_start(arch_direct(owners), frames, span * sizeof(frame_owner));
	frame_pool_start(boot->memory, boot->memory_count, arch_direct(owners),
			 span);
	for (uint32_t i = 0; i < frames; i++)
		frame_claim(FRAME_HYPERVISOR,
			    (owners.value >> FRAME_SHIFT) + i);
}

static void show_screen(const struct mull_framebuffer *screen)
{
	uint64_t size = framebuffer_bytes(screen); /* 0: it makes no sense */

	if (arch_map(hpa(screen->address), size, ARCH_MAP_FRAMEBUFFER) !=
	    ERR_NONE)
		return;
	framebuffer_start(screen, arch_direct(hpa(screen->address)));
	log_to_screen();
}

static void choose_virtualization(void)
{
	const char *words = "no virtualization";
	char features[LOG_LINE_MAX];

	for (size_t i = 0; i < arch_virt_count; i++) {
		if (arch_virt[i]->probe(&words) == ERR_NONE) {
			virt = arch_virt[i];
			virt->describe(features, sizeof features);
			log_write("virtualization: %s, %s", virt->name,
				  features);
			return;
		}
		log_write("%s: %s", arch_virt[i]->name, words);
	}
	panic("this machine cannot run guests: %s", words);
}

static void complain(void *context, const char *words)
{
	(void)context;
	log_write("package: %s", words);
}

static void read_package(const struct mull_boot_info *boot)
{
	struct mull_limits limits = {
		.cpu_count = arch_cpu_count(),
		.memory_free = frames_free() * FRAME_SIZE,
		.cache = cache_now(),
	};
	const void *bytes = arch_direct(hpa(boot->package_address));

	boot_package.machine.serial_mode = MULL_SERIAL_TEXT;
	if (boot->package_address == 0) {
		log_write("package: %.127s", boot->package_problem);
		return;
	}
	if (arch_map(hpa(boot->package_address), boot->package_size,
		     ARCH_MAP_READ_ONLY) != ERR_NONE) {
		log_write("package: 0x%lx cannot be its address",
			  boot->package_address);
		return;
	}
	if (package_read(&boot_package, bytes, boot->package_size, &limits,
			 complain, NULL) != ERR_NONE) {
		boot_package.vm_count = 0;
		/* The words must be seen, though no line was named. */
		boot_package.machine.serial_mode = MULL_SERIAL_TEXT;
	}
	cache_expect(&boot_package);
}

static void start_schedules(void)
{
	const struct mull_machine *machine = &boot_package.machine;
	uint32_t count = mull_schedule_count(machine);

	schedule_start(machine, arch_time());
	if (count)
		log_write("schedule %s is in force, of %u",
			  machine->schedules[0].name, count);
}

static uint32_t make_vms(void)
{
	uint32_t made = 0;

	for (uint32_t i = 0; i < boot_package.vm_count; i++) {
		const struct mull_vm *description = &boot_package.vms[i];
		const char *refusal = boot_package.vm_words[i];
		struct vm *vm = NULL;

		if (!refusal[0]) {
			vm = vm_create(description, i, NULL);
			refusal = "no memory for its structures";
		}
		made += vm != NULL;
		if (!vm)
			vm = vm_create(description, i, refusal);
		if (!vm)
			continue;
		manage_add_vm(vm);
		if (vm->state == MULL_VM_REFUSED)
			manage_event(vm);
	}
	return made;
}

static void start_vms(void)
{
	for (uint32_t i = 0; i < boot_package.vm_count; i++)
		if (vms[i] && vms[i]->state == MULL_VM_STOPPED &&
		    vms[i]->description.flags & MULL_VM_AUTOSTART)
			vm_command(vms[i], MULL_COMMAND_START);
}

_Noreturn void kernel_main(const struct mull_boot_info *boot)
{
	ledger_start(boot);
	log_record_start(boot);
	show_screen(&boot->framebuffer);
	guest_clock_start(boot->wall_clock);
	cpuid_start();
	choose_virtualization();
	if (virt->cpu_enable() != ERR_NONE)
		panic("%s cannot be switched on", virt->name);
	ledger_note(arch_time(), "%s switched on", virt->name);
	cache_start();
	read_package(boot);
	ledger_note(arch_time(), "package checked");
	manage_describe(boot, boot_package.sha256);
	manage_start(&boot_package.machine);
	arch_mitigate(boot_package.machine.mitigations);
	arch_mitigate_cpu();
	if (boot_package.machine.service_cpu < arch_cpu_count())
		cpu_loop_set_service(boot_package.machine.service_cpu);
	log_write("%lu MiB free for guests, %lu KiB used by the hypervisor",
		  frames_free() * FRAME_SIZE / MIB(1),
		  pages_in_use() * PAGE_SIZE / KIB(1));
	start_schedules();
	storage_start();
	uplink_start(&boot_package.machine);
	if (make_vms() == 0)
		log_write("no VM can be started; what now? Make a package "
			  "with `mullctl pack MANIFEST -o DIR`");
	ledger_note(arch_time(), "VMs made");
	start_vms();
	atomic_store(&guests_may_run, true);
	cpu_loop();
}

_Noreturn void kernel_cpu_main(void)
{
	while (!atomic_load(&guests_may_run))
		arch_pause();
	arch_mitigate_cpu(); /* before anything that has been patched */
	if (virt->cpu_enable() != ERR_NONE)
		panic("%s cannot be switched on, on CPU %u", virt->name,
		      arch_cpu_index());
	cpu_loop();
}
