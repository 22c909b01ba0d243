/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/fake_line.h"

static char seen[65536]; /* on the operator's terminal */
static size_t seen_length;

static void on_wire(uint8_t byte)
{
	assert_true(seen_length < sizeof seen - 1);
	seen[seen_length++] = (char)byte;
	seen[seen_length] = '\0';
}

static void start(uint32_t vm_count)
{
	begin(MULL_SERIAL_TEXT, vm_count);
	state(0, MULL_VM_RUNNING);
	state(1, MULL_VM_RUNNING);
	serve(200);
	seen_length = 0;
	seen[0] = '\0';
}

static int two(void **unused)
{
	(void)unused;
	start(2);
	return 0;
}

static void type(const char *text)
{
	incoming(text, strlen(text));
	serve(100);
}

static void each_line_has_its_name(void **unused)
{
	(void)unused;
	print(0, "Hello\nWorld\r\n");
	print(1, "SELECT 1;\n");
	serve(50);
	assert_non_null(strstr(seen, "web | Hello\r\n"));
	assert_non_null(strstr(seen, "web | World\r\n"));
	assert_non_null(strstr(seen, "db | SELECT 1;\r\n"));
	assert_int_equal(seen_length, 13 + 13 + 16);
	log_write("words");
	serve(20);
	assert_non_null(strstr(seen, "mullion | [    0.250000] words\r\n"));
}

static void one_vm_alone_needs_no_name(void **unused)
{
	(void)unused;
	start(1);
	print(0, "Hello\n");
	serve(50);
	assert_string_equal(seen, "Hello\r\n");
}

/* Both print byte by byte at the same time. */
static void print_slowly(void)
{
	static const char *const words[] = { "ham and eggs\n", "0123456789\n" };
	static size_t at[2];

	for (uint32_t vm = 0; vm < 2; vm++) {
		print(vm, (char[]){ words[vm][at[vm]], '\0' });
		at[vm] = (at[vm] + 1) % strlen(words[vm]);
	}
}

static void lines_stay_whole(void **unused)
{
	char *line_of, *save;

	(void)unused;
	each_millisecond = print_slowly;
	serve(500);
	each_millisecond = NULL;
	serve(200);
	assert_true(seen_length > 700);
	*strrchr(seen, '\r') = '\0'; /* the unfinished last ones */
	*strrchr(seen, '\r') = '\0';
	for (line_of = strtok_r(seen, "\r\n", &save); line_of;
	     line_of = strtok_r(NULL, "\r\n", &save))
		assert_true(!strcmp(line_of, "web | ham and eggs") ||
			    !strcmp(line_of, "db | 0123456789"));
}

static void a_prompt_does_not_keep_the_others_silent(void **unused)
{
	(void)unused;
	print(0, "login: ");
	serve(20);
	assert_string_equal(seen, "web | login: ");
	print(1, "ready\n");
	serve(10);
	assert_string_equal(seen, "web | login: ");
	serve(100);
	assert_string_equal(seen, "web | login: \r\ndb | ready\r\n");
}

static void dots(void)
{
	print(0, ".");
}

static void nor_does_a_line_that_never_ends(void **unused)
{
	(void)unused;
	each_millisecond = dots;
	serve(100);
	print(1, "ready\n");
	serve(LINE_TIME + 100);
	assert_non_null(strstr(seen, "\r\ndb | ready\r\nweb | ..."));
}

static void typed_keys_go_to_the_first_vm_or_the_chosen(void **unused)
{
	(void)unused;
	type("ls\r");
	assert_string_equal(given[0], "ls\r");
	type("\035"
	     "2id\r");
	assert_non_null(strstr(seen, "typed input goes to db\r\n"));
	assert_string_equal(given[1], "id\r");
	type("\035n");
	type("x");
	assert_string_equal(given[0], "ls\rx");
	type("\0357y"); /* there is no seventh: nothing changes */
	assert_non_null(strstr(seen, "Ctrl-] 1 to 9 chooses a VM"));
	assert_string_equal(given[0], "ls\rxy");
	type("\035\035");
	assert_string_equal(given[0], "ls\rxy\035");
}

#define TEST(name) cmocka_unit_test_setup(name, two)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_line_has_its_name),
		TEST(one_vm_alone_needs_no_name),
		TEST(lines_stay_whole),
		TEST(a_prompt_does_not_keep_the_others_silent),
		TEST(nor_does_a_line_that_never_ends),
		TEST(typed_keys_go_to_the_first_vm_or_the_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
