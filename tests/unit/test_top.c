/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/vm_exit.h>
#include <stdlib.h>
#include <string.h>
#include <top.h>

#define SECOND UINT64_C(1000000000)

static struct top_pair pair;
static struct top_row rows[MULL_VM_MAX];

static struct top_vm *add(struct top_sample *sample, uint32_t number,
			  const char *name, uint32_t state)
{
	struct top_vm *vm = &sample->vms[sample->vm_count++];

	*vm = (struct top_vm){ .status = { .number = number, .state = state } };
	strcpy(vm->status.name, name);
	return vm;
}

/* Two seconds, in which the VM "busy" has done something. */
static void begin(void)
{
	struct top_vm *vm;

	memset(&pair, 0, sizeof pair);
	pair.seconds = 2;
	pair.now.info.time_ns = 12 * SECOND;
	vm = add(&pair.before, 3, "busy", MULL_VM_RUNNING);
	vm->stats.guest_ns = SECOND;
	vm->stats.exits[EXIT_CPUID] = 1000;
	vm->stats.exits[EXIT_HALT] = 10;
	add(&pair.before, 4, "old", MULL_VM_RUNNING)->stats.guest_ns = SECOND;

	vm = add(&pair.now, 3, "busy", MULL_VM_RUNNING);
	vm->status.started_ns = 5 * SECOND;
	vm->status.console_position = 300;
	vm->stats.guest_ns = 2 * SECOND;
	vm->stats.hypervisor_ns = SECOND / 2;
	vm->stats.interrupts = 8;
	vm->stats.exits[EXIT_CPUID] = 1010;
	vm->stats.exits[EXIT_HALT] = 50;
	/* Another VM, to which a number was given. */
	vm = add(&pair.now, 4, "new", MULL_VM_STOPPED);
	vm->stats.guest_ns = 2 * SECOND;
	vm->stats.exits[EXIT_HALT] = 5;
}

static void rates(void **state)
{
	const double *value = rows[0].value;

	(void)state;
	begin();
	assert_int_equal(top_rows(&pair, rows), 2);
	assert_float_equal(value[TOP_GUEST], 50, 0.001);
	assert_float_equal(value[TOP_HYPERVISOR], 25, 0.001);
	assert_float_equal(value[TOP_EXITS], 25, 0.001);
	assert_float_equal(value[TOP_INTERRUPTS], 4, 0.001);
	assert_float_equal(value[TOP_PRINTED], 150, 0.001);
	assert_float_equal(value[TOP_UP], 7e9, 1);
	assert_int_equal(value[TOP_REASON], EXIT_HALT);
	assert_float_equal(rows[0].exits[EXIT_CPUID], 5, 0.001);
	/* A VM that was not there before. */
	assert_float_equal(rows[1].value[TOP_GUEST], 0, 0);
	assert_float_equal(rows[1].value[TOP_EXITS], 0, 0);
	assert_float_equal(rows[1].value[TOP_UP], 0, 0);
	assert_int_equal(rows[1].value[TOP_REASON], -1);
	/* Counters that went back. */
	pair.before.vms[0].stats.guest_ns = 3 * SECOND;
	top_rows(&pair, rows);
	assert_float_equal(value[TOP_GUEST], 0, 0);
	/* One sample alone. */
	pair.seconds = 0;
	top_rows(&pair, rows);
	assert_float_equal(value[TOP_HYPERVISOR], 0, 0);
}

static void loads(void **state)
{
	struct top_load load;

	(void)state;
	begin();
	assert_float_equal(top_load(&pair).idle, 0, 0);
	pair.before.cpu_count = pair.now.cpu_count = 2;
	pair.before.cpus[1].idle_ns = 5 * SECOND;
	pair.now.cpus[0].guest_ns = 2 * SECOND;
	pair.now.cpus[1].hypervisor_ns = SECOND / 2;
	pair.now.cpus[1].idle_ns = 5 * SECOND + 3 * SECOND / 2;
	load = top_load(&pair);
	assert_float_equal(load.guest, 50, 0.001);
	assert_float_equal(load.hypervisor, 12.5, 0.001);
	assert_float_equal(load.idle, 37.5, 0.001);
}

static void assert_order(enum top_column column, bool reverse,
			 const char *order)
{
	char names[8] = "";

	top_sort(rows, 4, column, reverse);
	for (size_t i = 0; i < 4; i++)
		names[i] = rows[i].vm->status.name[0];
	assert_string_equal(names, order);
}

static void sorting(void **state)
{
	static const double exits[] = { 5, 7, 5, 9 };

	(void)state;
	memset(&pair, 0, sizeof pair);
	add(&pair.now, 0, "c", MULL_VM_STOPPED);
	add(&pair.now, 1, "a", MULL_VM_RUNNING);
	add(&pair.now, 2, "d", MULL_VM_STOPPED);
	add(&pair.now, 3, "b", MULL_VM_PAUSED);
	assert_int_equal(top_rows(&pair, rows), 4);
	for (size_t i = 0; i < 4; i++)
		rows[i].value[TOP_EXITS] = exits[i];
	/* Equals stay as they are. */
	assert_order(TOP_EXITS, false, "bacd");
	assert_order(TOP_EXITS, true, "cdab");
	assert_order(TOP_NAME, false, "abcd");
	assert_order(TOP_NAME, true, "dcba");
	assert_order(TOP_STATE, false, "badc");
}

static void short_words(void **state)
{
	static const struct {
		double number, step;
		const char *text;
	} counts[] = {
		{ 0, 1000, "0" },	 { 999, 1000, "999" },
		{ 999.6, 1000, "1.0k" }, { 1234, 1000, "1.2k" },
		{ 9960, 1000, "10k" },	 { 35e6, 1000, "35M" },
		{ 1024, 1024, "1.0K" },	 { 512 << 20, 1024, "512M" },
		{ 1e30, 1000, "9999T" },
	};
	static const struct {
		double seconds;
		const char *text;
	} times[] = {
		{ 0.9, "0s" },	   { 59.9, "59s" },   { 60, "1m00" },
		{ 3599, "59m59" }, { 11520, "3h12" }, { 356400, "4d03" },
	};
	char text[8];

	(void)state;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		top_short_count(text, counts[i].number, counts[i].step);
		assert_string_equal(text, counts[i].text);
	}
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		top_short_time(text, times[i].seconds * 1e9);
		assert_string_equal(text, times[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),
		cmocka_unit_test(loads),
		cmocka_unit_test(sorting),
		cmocka_unit_test(short_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
