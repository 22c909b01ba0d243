/* SPDX-License-Identifier: MIT */
/* Lines of each kind, and who may have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <config.h>
#include <mullion/frame.h>
#include <netdb.h>
#include <parts.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static char folder[] = "/tmp/mullctl-test-XXXXXX";

static void on_console(void *context, uint32_t vm, const void *bytes,
		       size_t length)
{
	sprintf(context, "%u:%.*s", vm, (int)length, (const char *)bytes);
}

static void count_frame(void *context, const struct mull_frame_header *header,
			const void *payload, size_t length)
{
	size_t *inputs = context;

	(void)payload;
	*inputs += header->type == MULL_FRAME_INPUT && length == 256;
}

/* Bytes of all values pass in both directions, from @far to @mull and back. */
static void both_ways(struct mull *mull, int far)
{
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = MULL_FRAME_CONSOLE,
					    .stream = 4 };
	char heard[32] = "";
	struct mull_handlers handlers = { .context = heard,
					  .console = on_console };
	size_t inputs = 0;
	struct frame_decoder decoder = { .on_frame = count_frame,
					 .context = &inputs };
	uint8_t wire[FRAME_WIRE_MAX], bytes[256];
	size_t length = frame_encode(&header, "\r\n\x11\x13\x03", 5, wire);

	mull_handle(mull, &handlers);
	assert_int_equal(write(far, wire, length), length);
	for (int i = 0; i < 20 && !*heard; i++)
		mull_pump(mull, 100, -1);
	assert_string_equal(heard, "4:\r\n\x11\x13\x03");

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(mull_input(mull, 4, bytes, sizeof bytes), MULL_OK);
	mull_pump(mull, 0, -1);
	for (int i = 0; i < 20 && !inputs; i++) {
		ssize_t got = read(far, wire, sizeof wire);

		assert_true(got > 0);
		frame_decode(&decoder, wire, (size_t)got);
	}
	assert_int_equal(inputs, 1);
}

static void a_serial_line_is_raw(void **state)
{
	struct mull *mull, *second;
	struct termios line;
	char name[64], address[80];
	int far, near;

	(void)state;
	assert_int_equal(openpty(&far, &near, name, NULL, NULL), 0);
	snprintf(address, sizeof address, "serial:%s,57600", name);
	assert_int_equal(mull_open(&mull, address, NULL), MULL_OK);
	assert_int_equal(tcgetattr(near, &line), 0);
	assert_int_equal(cfgetospeed(&line), B57600);
	assert_int_equal(line.c_cflag & (CSTOPB | CRTSCTS | PARENB), 0);
	assert_true(mull->patience > 1.3 && mull->patience < 1.4);
	both_ways(mull, far);

	assert_int_equal(mull_open(&second, address, NULL), MULL_IN_USE);
	mull_close(second);
	mull_close(mull);
	close(near);
	close(far);
}

/* In place of the C library's: any name has two addresses, of which the second
 * one is served. */
static struct sockaddr_in names[2];
static struct addrinfo found[2];

int getaddrinfo(const char *name, const char *service,
		const struct addrinfo *hints, struct addrinfo **result)
{
	(void)name;
	(void)hints;
	for (int i = 0; i < 2; i++) {
		names[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons((uint16_t)(i ? atoi(service) : 1)),
			.sin_addr = { htonl(INADDR_LOOPBACK) },
		};
		found[i] = (struct addrinfo){
			.ai_family = AF_INET,
			.ai_socktype = SOCK_STREAM,
			.ai_addrlen = sizeof names[i],
			.ai_addr = (struct sockaddr *)&names[i],
		};
	}
	found[0].ai_next = &found[1];
	*result = found;
	return 0;
}

void freeaddrinfo(struct addrinfo *result)
{
	assert_ptr_equal(result, found);
}

static void a_name_may_have_several_addresses(void **state)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof name;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), far;
	struct mull *mull;
	char address[80];

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&name, &size);
	snprintf(address, sizeof address, "tcp:some.where:%d",
		 ntohs(name.sin_port));
	assert_int_equal(mull_open(&mull, address, NULL), MULL_OK);
	far = accept(listener, NULL, NULL);
	both_ways(mull, far);
	close(far);
	mull_close(mull);
	close(listener);
	assert_int_equal(mull_open(&mull, address, NULL), MULL_UNREACHABLE);
	assert_non_null(strstr(mull_words(mull), "Connection refused"));
	mull_close(mull);
}

/* Nobody accepts at the lock: it must not keep who asks. */
static void the_lock_answers_whoever_asks(void **state)
{
	struct mull *mull, *other;
	char name[64], address[80], words[64];
	int far, near;

	(void)state;
	assert_int_equal(openpty(&far, &near, name, NULL, NULL), 0);
	snprintf(address, sizeof address, "serial:%s", name);
	assert_int_equal(mull_open(&mull, address, NULL), MULL_OK);
	sprintf(words, "the line is in use by mullctl (pid %d)", getpid());
	alarm(20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(mull_open(&other, address, NULL), MULL_IN_USE);
		assert_string_equal(mull_words(other), words);
		mull_close(other);
	}
	alarm(0);
	mull_close(mull);
	close(near);
	close(far);
}

/* ---- where the address comes from ---------------------------------------- */

static char config[80];

static void write_config(const char *text)
{
	FILE *file = fopen(config, "we");

	fputs(text, file);
	fclose(file);
}

static void expect_address(const char *option, const char *expected)
{
	struct options options = { .text = { [OPTION_CONNECT] = option } };
	char *address = config_address(&options, false);

	if (expected)
		assert_string_equal(address, expected);
	else
		assert_null(address);
	free(address);
}

static void the_option_comes_before_environment_and_file(void **state)
{
	(void)state;
	snprintf(config, sizeof config, "%s/mullctl.yaml", folder);
	setenv("XDG_CONFIG_HOME", folder, 1);
	unsetenv("MULLCTL_CONNECT");
	expect_address(NULL, NULL);
	write_config("# mine\nother: 1\nconnect: \"unix:/file\"\n");
	expect_address(NULL, "unix:/file");
	setenv("MULLCTL_CONNECT", "", 1);
	expect_address(NULL, "unix:/file");
	setenv("MULLCTL_CONNECT", "unix:/environment", 1);
	expect_address(NULL, "unix:/environment");
	expect_address("unix:/option", "unix:/option");
	unsetenv("MULLCTL_CONNECT");
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = { "", "- connect\n", "a: {\n",
						   "connect: [x]\n" };

		write_config(bad[i]);
		expect_address(NULL, NULL);
	}
	unlink(config);
}

static void the_file_is_in_the_home(void **state)
{
	char below[64];

	(void)state;
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", folder, 1);
	snprintf(below, sizeof below, "%s/.config", folder);
	snprintf(config, sizeof config, "%s/mullctl.yaml", below);
	assert_int_equal(mkdir(below, 0700), 0);
	write_config("connect: tcp:there:1\n");
	expect_address(NULL, "tcp:there:1");
	unlink(config);
	rmdir(below);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_serial_line_is_raw),
		cmocka_unit_test(a_name_may_have_several_addresses),
		cmocka_unit_test(the_lock_answers_whoever_asks),
		cmocka_unit_test(the_option_comes_before_environment_and_file),
		cmocka_unit_test(the_file_is_in_the_home),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
