/* SPDX-License-Identifier: MIT */
/* What a driver gets of its PCI function, and how little it believes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_pci.h"
#include <cmocka.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>

#define BAR_AT 0x1800004000 /* beyond all that fake memory has */

static struct fake_function *function;
static struct pci_device *device;
static enum arch_map_kind mapped_as;
static uint64_t mapped_at, mapped_size;
static frame_owner owners[64];

enum error arch_map(hpa_t address, uint64_t size, enum arch_map_kind kind)
{
	mapped_at = address.value;
	mapped_size = size;
	mapped_as = kind;
	return ERR_NONE;
}

static int fresh(void **state)
{
	(void)state;
	fake_pci_start();
	function = fake_pci_add(3, 0x00101b36, PCI_CLASS_NVME);
	function->config[1] = 0xf9000001;
	fake_pci_set_bar(function, 0, BAR_AT, 0x4000);
	pci_quiesce();
	device = pci_next(NULL);
	mapped_at = mapped_size = 0;
	return 0;
}

static void functions_are_remembered(void **state)
{
	(void)state;
	assert_int_equal(device->vendor, 0x1b36);
	assert_int_equal(device->id, 0x0010);
	assert_int_equal(device->class, PCI_CLASS_NVME);
	assert_string_equal(device->name, "00:03.0");
	assert_null(pci_next(device));
	function->config[3] = BIT(16); /* a bridge */
	pci_quiesce();
	assert_null(pci_next(NULL));
}

static void an_owner_may_be_bus_master(void **state)
{
	(void)state;
	assert_int_equal(pci_own(device, "nvme"), ERR_NONE);
	assert_int_equal(function->config[1], 0xf9000407);
	assert_int_equal(pci_own(device, "another"), ERR_BUSY);
	assert_string_equal(device->owner, "nvme");
	pci_stop(device);
	assert_int_equal(function->config[1], 0xf9000403);
	assert_int_equal(pci_own(device, "nvme"), ERR_BUSY);
}

static void a_bar_is_mapped_uncached(void **state)
{
	struct pci_bar bar;

	(void)state;
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_NONE);
	assert_int_equal(bar.at.value, BAR_AT);
	assert_int_equal(bar.size, 0x4000);
	assert_int_equal(mapped_at, BAR_AT);
	assert_int_equal(mapped_size, 0x4000);
	assert_int_equal(mapped_as, ARCH_MAP_DEVICE);
	/* As it was. */
	assert_int_equal(function->config[4], (uint32_t)BAR_AT | 4);
	assert_int_equal(function->config[5], BAR_AT >> 32);
	assert_int_equal(function->config[1], 0xf9000001);
}

static void a_bar_of_32_bits_is_one(void **state)
{
	struct pci_bar bar;

	(void)state;
	function->config[9] = 0xfe000000;
	function->bar_fixed[5] = 0xfff;
	assert_int_equal(pci_map_bar(device, 5, &bar), ERR_NONE);
	assert_int_equal(bar.at.value, 0xfe000000);
	assert_int_equal(bar.size, 0x1000);
	function->config[9] |= 4; /* its other half would be beyond the last */
	assert_int_equal(pci_map_bar(device, 5, &bar), ERR_NOT_FOUND);
	function->config[9] = 0xc001; /* of ports */
	assert_int_equal(pci_map_bar(device, 5, &bar), ERR_NOT_FOUND);
	assert_int_equal(pci_map_bar(device, 6, &bar), ERR_NOT_FOUND);
}

static void a_bar_that_lies_is_refused(void **state)
{
	const struct mull_memory_range ram = { MIB(32), MIB(8),
					       MULL_MEMORY_USABLE, 0 };
	struct pci_bar bar;

	(void)state;
	fake_pci_set_bar(function, 0, 0, 0x4000);
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_NOT_FOUND);
	fake_pci_set_bar(function, 0, GIB(8), GIB(8));
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_TOO_LARGE);
	fake_pci_set_bar(function, 0, BIT(50), 0x4000);
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_BAD_ADDRESS);
	frame_pool_start(&ram, 1, owners, frame_pool_span(&ram, 1));
	fake_pci_set_bar(function, 0, MIB(32) - 0x4000, 0x4000);
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_NONE);
	fake_pci_set_bar(function, 0, MIB(40) - 0x4000, 0x4000);
	mapped_size = 0;
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_BAD_ADDRESS);
	fake_pci_set_bar(function, 0, 0, MIB(64)); /* at 0: has no address */
	assert_int_equal(pci_map_bar(device, 0, &bar), ERR_NOT_FOUND);
	assert_int_equal(mapped_size, 0);
}

static void capabilities_are_found_in_turn(void **state)
{
	(void)state;
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 0), 0);
	fake_pci_add_capability(function, 0x98, PCI_CAPABILITY_VENDOR, 0);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 0);
	fake_pci_add_capability(function, 0xfc, PCI_CAPABILITY_VENDOR, 0);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 0),
			 0xfc);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 1),
			 0x98);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 2), 0);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_MSIX, 0), 0x40);
	assert_int_equal(pci_capability(device, 1, 0), 0);
}

static void a_list_that_loops_ends(void **state)
{
	(void)state;
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_VENDOR, 0);
	function->config[0x10] |= 0x4000;
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_MSIX, 0), 0);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 47),
			 0x40);
	assert_int_equal(pci_capability(device, PCI_CAPABILITY_VENDOR, 48), 0);
	function->config[13] = 0x3c; /* into the header */
	assert_int_equal(pci_capability(device, 0, 0), 0);
}

static uint32_t table[64];

static void on_mmio_write(hpa_t at, uint32_t size, uint64_t value)
{
	uint64_t offset = at.value - BAR_AT - 0x2000;

	assert_int_equal(size, 4);
	assert_true(offset < sizeof table);
	table[offset / 4] = (uint32_t)value;
}

static void nothing_happens(void *context)
{
	(void)context;
}

static void an_entry_interrupts_the_service_cpu(void **state)
{
	(void)state;
	fake_mmio_write = on_mmio_write;
	cpu_loop_set_service(5);
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX,
				0x4000 | 3); /* masked as a whole */
	function->config[0x11] = 0x2000;     /* in BAR 0 */
	assert_int_equal(pci_interrupt(device, 1, nothing_happens, &table),
			 ERR_NONE);
	assert_int_equal(table[4], 0xfee05000);
	assert_int_equal(table[5], 0);
	assert_int_equal(table[6], 0x60);
	assert_int_equal(table[7], 0);
	assert_int_equal(function->config[0x10] >> 16, 0x8003);
	assert_int_equal(fake_messages[0].cpu, 5);
	assert_ptr_equal(fake_messages[0].context, &table);
	assert_int_equal(pci_interrupt(device, 4, nothing_happens, NULL),
			 ERR_UNSUPPORTED);
	cpu_loop_set_service(0);
}

static void a_table_outside_its_bar_is_refused(void **state)
{
	(void)state;
	fake_mmio_write = on_mmio_write;
	assert_int_equal(pci_interrupt(device, 0, nothing_happens, NULL),
			 ERR_UNSUPPORTED); /* no capability */
	fake_pci_add_capability(function, 0x40, PCI_CAPABILITY_MSIX, 0);
	function->config[0x11] = 0x4000;
	assert_int_equal(pci_interrupt(device, 0, nothing_happens, NULL),
			 ERR_UNSUPPORTED);
	function->config[0x11] = 0x3ff8;
	assert_int_equal(pci_interrupt(device, 0, nothing_happens, NULL),
			 ERR_UNSUPPORTED);
	function->config[0x11] = 0x2002; /* in BAR 2: there is none */
	assert_int_equal(pci_interrupt(device, 0, nothing_happens, NULL),
			 ERR_NOT_FOUND);
	function->config[0x11] = 0x2007;
	assert_int_equal(pci_interrupt(device, 0, nothing_happens, NULL),
			 ERR_NOT_FOUND);
	assert_int_equal(fake_message_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, fresh)
		TEST(functions_are_remembered),
		TEST(an_owner_may_be_bus_master),
		TEST(a_bar_is_mapped_uncached),
		TEST(a_bar_of_32_bits_is_one),
		TEST(a_bar_that_lies_is_refused),
		TEST(capabilities_are_found_in_turn),
		TEST(a_list_that_loops_ends),
		TEST(an_entry_interrupts_the_service_cpu),
		TEST(a_table_outside_its_bar_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
